// Command sizes reports how long files and functions of this module are, and what part of their lines are comments, against the house's rules: median
// and 90th percentile of functions, median and longest of files. Tests and generated files are left out. It says and does not judge: the exit
// status is 0 unless the sources cannot be read.
//
//	go run ./bench/sizes          # totals, a line for each package, the longest functions and files
//	go run ./bench/sizes -n 40    # more of the longest
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// The argument is the module's folder, the working directory without one. A source that does not parse ends it with 1.
func main() {
	n := flag.Int("n", 15, "how `many` of the longest functions and files are listed")
	flag.Parse()
	root := "."
	if flag.NArg() > 0 {
		root = flag.Arg(0)
	}
	files, err := readModule(root)
	if err == nil {
		err = report(os.Stdout, files, *n)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sizes:", err)
		os.Exit(1)
	}
}

// report prints the whole report.
// The first lines are the rule and the whole module, so that a package can be held against both.
func report(w io.Writer, files []file, n int) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "functions\tmedian\tp90\tmax\tfiles\tmedian\tp90\tmax\tcomments\t ")
	fmt.Fprintln(t, "rule\t10\t40\t\t\t150\t\t500\t15-25 %\t ")
	line(t, "all", files)
	for _, p := range packages(files) {
		line(t, p.name, p.files)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nlongest functions")
	for _, f := range longest(functions(files), n) {
		fmt.Fprintf(w, "%5d  %s:%d %s\n", f.lines, f.path, f.at, f.name)
	}
	fmt.Fprintln(w, "\nlongest files")
	slices.SortStableFunc(files, func(a, b file) int { return b.lines - a.lines }) // this changes the order of files, which nobody needs after it
	for _, f := range files[:min(n, len(files))] {
		fmt.Fprintf(w, "%5d  %s\n", f.lines, f.path)
	}
	return nil
}

// line is one row of the table.
// Lengths of files count every line, blank ones too; the share of comments is of the same lines.
func line(w io.Writer, name string, files []file) {
	var lengths, code, comments []int
	for _, f := range files {
		lengths = append(lengths, f.lines)
		code, comments = append(code, f.lines), append(comments, f.comments)
	}
	var bodies []int
	for _, f := range functions(files) {
		bodies = append(bodies, f.lines)
	}
	fmt.Fprintf(w, "%d\t%s\t%d\t%s\t%.0f %%\t %s\n", len(bodies), three(bodies), len(lengths), three(lengths), 100*float64(sum(comments))/float64(max(sum(code), 1)), name)
}

// three gives median, 90th percentile and maximum, with tabs between them.
// The list is sorted in place. Of an even number the median is the upper one.
func three(list []int) string {
	if len(list) == 0 {
		return "\t\t"
	}
	slices.Sort(list)
	return fmt.Sprintf("%d\t%d\t%d", list[len(list)/2], list[len(list)*9/10], list[len(list)-1])
}

// sum of none is 0.
func sum(list []int) (n int) {
	for _, v := range list {
		n += v
	}
	return n
}

// group is the files of one package.
// Files of one folder are one package here; tests were left out before.
type group struct {
	name  string
	files []file
}

// packages groups files by folder, in the folders' order.
// Folders come in the order of their names, as the files are sorted by path first.
func packages(files []file) (out []group) {
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.path, b.path) })
	at := map[string]int{}
	for _, f := range files {
		i, ok := at[f.folder()]
		if !ok {
			i = len(out)
			at[f.folder()] = i
			out = append(out, group{name: f.folder()})
		}
		out[i].files = append(out[i].files, f)
	}
	return out
}

// functions lists those of all files.
// The order is that of the files.
func functions(files []file) (out []function) {
	for _, f := range files {
		out = append(out, f.functions...)
	}
	return out
}

// longest gives the n longest, the longest first.
// Functions of equal length keep their order, so the same module prints the same text. The list is sorted in place.
func longest(list []function, n int) []function {
	slices.SortStableFunc(list, func(a, b function) int { return b.lines - a.lines })
	return list[:min(n, len(list))]
}
