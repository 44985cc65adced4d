// Command run measures all cases of package bench, or those whose name holds an argument, and prints the lines in Go's benchmark format
// (for benchstat) and a table against the goals. Both are kept in bench/results/<date>.txt; -o says another file, -o - none. It ends with 1 if
// a case fails, and with 0 also where a goal is missed: figures depend on the machine.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
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

func run(path, temp string, names []string) error {
	env, err := bench.NewEnv(temp)
	if err != nil {
		return err
	}
	if path == "" {
		path = filepath.Join(env.Root, "bench", "results", time.Now().Format("2006-01-02")+".txt")
	}
	var text strings.Builder
	w := io.MultiWriter(os.Stdout, &text)
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
	table(w, rows)
	fmt.Fprintf(w, "%s", machine())
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

func wanted(name string, names []string) bool {
	for _, part := range names {
		if strings.Contains(name, part) {
			return true
		}
	}
	return len(names) == 0
}

// measure runs one case. What it reports is an error's text, or why it was skipped, or figures.
func measure(env *bench.Env, c bench.Case) row {
	r := row{c: c}
	if c.Skip != nil {
		if r.skipped = c.Skip(env); r.skipped != nil {
			return r
		}
	}
	r.result = testing.Benchmark(func(b *testing.B) {
		if err := c.Run(env, b); err != nil {
			r.err = err
			b.FailNow()
		}
	})
	return r
}

// machine says what was measured on: processors, and how busy they are, as far as the system tells.
func machine() string {
	s := fmt.Sprintf("# %s, %d CPUs, %s", time.Now().UTC().Format(time.RFC3339), runtime.NumCPU(), runtime.Version())
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		s += ", load " + strings.Join(strings.Fields(string(load))[:3], " ")
	}
	return s + "\n"
}
