package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// results are the figures of an earlier run, by "Case unit".
// Units stand in the key, since one case reports several figures.
type results struct {
	name    string // of the file, "" for none
	figures map[string]float64
}

// from names the earlier run for people.
func (r results) from() string {
	if r.name == "" {
		return "no earlier run"
	}
	return r.name
}

// earlier reads the newest file of a folder of results but the one that is about to be written. Names begin with the date, so their order is that of time.
// Files that cannot be read are passed over: then an older one is the earlier run. No folder is no earlier run.
func earlier(folder, writing string) results {
	paths, _ := filepath.Glob(filepath.Join(folder, "*.txt")) // the pattern is good
	slices.Sort(paths)
	for _, path := range slices.Backward(paths) {
		if filepath.Base(path) == filepath.Base(writing) {
			continue
		}
		if data, err := os.ReadFile(path); err == nil {
			return results{filepath.Base(path), parse(string(data))}
		}
	}
	return results{}
}

// parse reads lines in Go's benchmark format: a name, a count, then pairs of a figure and its unit.
// Lines of other kinds, the table's comments among them, are left out. Of a case that stands there twice the last one counts.
func parse(text string) map[string]float64 {
	out := map[string]float64{}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 4 || !strings.HasPrefix(words[0], "Benchmark") { // name, count, and at least one pair
			continue
		}
		name := strings.TrimPrefix(words[0], "Benchmark")
		for i := 2; i+1 < len(words); i += 2 {
			if f, err := strconv.ParseFloat(words[i], 64); err == nil {
				out[name+" "+words[i+1]] = f
			}
		}
	}
	return out
}
