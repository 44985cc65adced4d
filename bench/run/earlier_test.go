package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestEarlier finds the newest other file and reads it back.
func TestEarlier(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"2026-01-01.txt": "BenchmarkA\t1\t5 ns/op\n",
		"2026-02-01.txt": "goos: linux\nBenchmarkA\t3\t7.5 ns/op\t2 cpu-ms\n# BenchmarkB\t1\t9 ns/op\nBenchmarkC 1 x ms\n",
		"2026-03-01.txt": "BenchmarkA\t1\t9 ns/op\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := earlier(dir, filepath.Join(dir, "2026-03-01.txt"))
	if got.name != "2026-02-01.txt" || len(got.figures) != 2 || got.figures["A ns/op"] != 7.5 || got.figures["A cpu-ms"] != 2 {
		t.Errorf("%+v", got)
	}
	if none := earlier(t.TempDir(), "x"); none.from() != "no earlier run" || len(none.figures) != 0 {
		t.Errorf("%+v", none)
	}
}
