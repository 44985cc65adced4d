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
// Exactly one of result, skipped and err means something.
type row struct {
	c       bench.Case
	result  testing.BenchmarkResult
	skipped error
	err     error
}

// line is the row in Go's benchmark format; what was not measured is a comment.
// It ends without a line break. Allocations are shown for Check* only, whose figures are of the whole process anyhow.
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
// 0 stands for a figure that was not reported, and so misses a goal with a Least.
func (r row) figure(unit string) float64 {
	if f, ok := r.result.Extra[unit]; ok {
		return f
	}
	if unit == "ns/op" && r.result.N > 0 {
		return float64(r.result.NsPerOp())
	}
	return 0
}

// table prints what was measured against the goals, and what the figures of the goals were in an earlier run.
// Every line begins with #, so that the same file reads as benchmark output. What was skipped is "not measured", and no goal of
// it is called missed.
func table(w io.Writer, rows []row, was results) {
	fmt.Fprintln(w, "\n# what, figures, goal (and what "+was.from()+" had)")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		if r.skipped != nil || r.err != nil {
			fmt.Fprintf(t, "# %s\tnot measured\t\n", r.c.Name)
			continue
		}
		fmt.Fprintf(t, "# %s\t%s\t%s\n", r.c.Name, r.figures(), r.verdicts(was))
	}
	t.Flush()
	fmt.Fprintln(w)
	// The explanations stand below the table, where their length does not matter.
	for _, r := range rows {
		fmt.Fprintf(w, "# %s: %s\n", r.c.Name, r.c.What)
	}
}

// figures lists all figures of a row, sorted by unit; a zero ns/op says that it means nothing.
// The order is that of the text, figures first, since it is sorted as printed.
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

// verdicts holds the goals' figures against them.
// Each goal is "met" or "MISSED" with its own words; the earlier figure is added only where there is one.
func (r row) verdicts(was results) string {
	var out []string
	for _, g := range r.c.Goals {
		word := "MISSED: "
		if g.Met(r.figure(g.Unit)) {
			word = "met: "
		}
		text := word + g.Meaning
		if f, ok := was.figures[r.c.Name+" "+g.Unit]; ok { // same case, same unit
			text += " (was " + plain(f) + ", is " + plain(r.figure(g.Unit)) + " " + g.Unit + ")"
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

// plain prints a figure with three digits that count.
// From 100 on it is rounded to whole numbers: 1234.5 is "1234" or "1235", 0.01234 is "0.0123".
func plain(f float64) string {
	if f >= 100 {
		return strconv.FormatFloat(f, 'f', 0, 64)
	}
	return strconv.FormatFloat(f, 'g', 3, 64)
}
