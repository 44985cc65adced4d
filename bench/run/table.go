package main

import (
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/comfyc/comfyc/bench"
)

// row is what came out of one case.
type row struct {
	c       bench.Case
	result  testing.BenchmarkResult
	skipped error
	err     error
}

// line is the row in Go's benchmark format; what was not measured is a comment.
func (r row) line() string {
	switch {
	case r.skipped != nil:
		return fmt.Sprintf("# SKIPPED %s: %v", r.c.Name, r.skipped)
	case r.err != nil:
		return fmt.Sprintf("# FAILED %s: %v", r.c.Name, r.err)
	}
	text := "Benchmark" + r.c.Name + "\t" + r.result.String()
	if r.result.MemAllocs > 0 && r.result.Extra["cpu-ns/node"] != 0 {
		text += "\t" + r.result.MemString()
	}
	return text
}

// figure gives one figure of a row by its unit.
func (r row) figure(unit string) float64 {
	if f, ok := r.result.Extra[unit]; ok {
		return f
	}
	if unit == "ns/op" && r.result.N > 0 {
		return float64(r.result.NsPerOp())
	}
	return 0
}

// table prints what was measured against the goals.
func table(w io.Writer, rows []row) {
	fmt.Fprintln(w, "\n# what, figures, goal")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		if r.skipped != nil || r.err != nil {
			fmt.Fprintf(t, "# %s\tnot measured\t\n", r.c.Name)
			continue
		}
		fmt.Fprintf(t, "# %s\t%s\t%s\n", r.c.Name, r.figures(), r.verdicts())
	}
	t.Flush()
	fmt.Fprintln(w)
	for _, r := range rows {
		fmt.Fprintf(w, "# %s: %s\n", r.c.Name, r.c.What)
	}
}

// figures lists all figures of a row, sorted by unit; a zero ns/op says that it means nothing.
func (r row) figures() string {
	var out []string
	if f := r.figure("ns/op"); f > 0 {
		out = append(out, plain(f/1e6)+" ms")
	}
	for unit := range r.result.Extra {
		if unit != "ns/op" {
			out = append(out, plain(r.result.Extra[unit])+" "+unit)
		}
	}
	sort.Strings(out)
	return strings.Join(out, ", ")
}

func (r row) verdicts() string {
	var out []string
	for _, g := range r.c.Goals {
		word := "MISSED: "
		if g.Met(r.figure(g.Unit)) {
			word = "met: "
		}
		out = append(out, word+g.Meaning)
	}
	return strings.Join(out, "; ")
}

// plain prints a figure with three digits that count.
func plain(f float64) string {
	if f >= 100 {
		return strconv.FormatFloat(f, 'f', 0, 64)
	}
	return strconv.FormatFloat(f, 'g', 3, 64)
}
