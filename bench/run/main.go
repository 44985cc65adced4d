// Command run measures all cases of package bench, or those whose name holds an argument, and prints the lines in Go's benchmark format
// (for benchstat) and a table against the goals, with what the newest other file of bench/results had. Both are kept in
// bench/results/<date>.txt; -o says another file, -o - none. It ends with 1 if a case fails, and with 0 also where a goal is missed: figures depend on
// the machine.
package main

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/comfyc/comfyc/bench"
)

func main() {
	testing.Init()
	out := flag.String("o", "", "the `file` for the results; - for none")
	flag.Parse()
	temp, err := os.MkdirTemp("", "comfyc-bench-")
	if err == nil {
		err = run(*out, temp, flag.Args())
		os.RemoveAll(temp)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run writes the results also if cases failed; the file of the same day is replaced. Only the command's own mistakes and failed
// cases are errors.
func run(path, temp string, names []string) error {
	env, err := bench.NewEnv(temp)
	if err != nil {
		return err
	}
	if path == "" { // one file a day: the name sorts by time
		path = filepath.Join(env.Root, "bench", "results", time.Now().Format("2006-01-02")+".txt")
	}
	var text strings.Builder
	w := io.MultiWriter(os.Stdout, &text) // what is printed is what is kept
	// The head that benchstat reads.
	fmt.Fprintf(w, "goos: %s\ngoarch: %s\npkg: github.com/comfyc/comfyc/bench\n%s", runtime.GOOS, runtime.GOARCH, machine())
	var rows []row
	failed := 0
	for _, c := range bench.Cases {
		if !wanted(c.Name, names) {
			continue
		}
		r := measure(env, c)
		if r.err != nil {
			failed++
		}
		fmt.Fprintln(w, r.line())
		rows = append(rows, r)
	}
	was := earlier(filepath.Join(env.Root, "bench", "results"), path)
	table(w, rows, was)
	fmt.Fprintf(w, "%s%s", peers(env.Versions), machine()) // the load again: how busy it was while it measured
	if path != "-" {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d cases failed", failed)
	}
	return nil
}

// wanted is true for every case if no names are given. Parts are enough: "Sim" is all simulations.
func wanted(name string, names []string) bool {
	for _, part := range names {
		if strings.Contains(name, part) {
			return true
		}
	}
	return len(names) == 0
}

// measure runs one case. What it reports is an error's text, or why it was skipped, or figures.
// testing.Benchmark calls Run with a growing b.N until a second is filled; -test.benchtime says another time.
func measure(env *bench.Env, c bench.Case) row {
	r := row{c: c}
	if c.Skip != nil {
		if r.skipped = c.Skip(env); r.skipped != nil {
			return r
		}
	}
	// FailNow ends the goroutine of the benchmark, so the error has to be kept outside of it.
	r.result = testing.Benchmark(func(b *testing.B) {
		if err := c.Run(env, b); err != nil {
			r.err = err
			b.FailNow()
		}
	})
	return r
}

// processor names the kind of CPU, as far as the system tells.
// Only Linux has the file; "" elsewhere.
func processor() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return " (" + strings.TrimSpace(value) + ")"
		}
	}
	return ""
}

// peers lists the versions of the peers that were measured.
// Sorted by name; a line that begins with # is a comment to benchstat.
func peers(versions map[string]string) string {
	if len(versions) == 0 {
		return ""
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		out = append(out, name+" "+versions[name])
	}
	return "# peers: " + strings.Join(out, ", ") + "\n"
}

// machine says what was measured on: processors, and how busy they are, as far as the system tells.
func machine() string {
	s := fmt.Sprintf("# %s, %d CPUs%s, %s", time.Now().UTC().Format(time.RFC3339), runtime.NumCPU(), processor(), runtime.Version())
	if load, err := os.ReadFile("/proc/loadavg"); err == nil { // the load of the last 1, 5 and 15 minutes
		s += ", load " + strings.Join(strings.Fields(string(load))[:3], " ")
	}
	return s + "\n"
}
