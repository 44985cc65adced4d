package figures

import (
	"bytes"
	"cmp"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// ContentType is what a scraper is told; Prometheus 3 refuses an answer without it.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Set is all figures of one service. Its zero value is empty and ready.
type Set struct {
	mu       sync.Mutex // one scrape at a time, and no new family meanwhile
	families []*family  // sorted by name
	before   []func()
}

// Counter makes a family of counters. The name ends in _total by custom.
func (s *Set) Counter(name, help string, labels ...string) Counter {
	return Counter{s.family(name, help, "counter", nil, labels)}
}

// Gauge makes a family of gauges.
func (s *Set) Gauge(name, help string, labels ...string) Gauge {
	return Gauge{s.family(name, help, "gauge", nil, labels)}
}

// Histogram makes a family of histograms. Bounds are the upper ends of buckets, rising; one for all that is larger is added.
func (s *Set) Histogram(name, help string, bounds []float64, labels ...string) Histogram {
	return Histogram{s.family(name, help, "histogram", bounds, labels)}
}

// Before has f called at the begin of every scrape, to set the figures that nobody counts along the way. f must not use the set itself, only
// its families.
func (s *Set) Before(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = append(s.before, f)
}

// word is what names of families and labels look like; colons are for recording rules.
var word = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

func (s *Set) family(name, help, kind string, bounds []float64, labels []string) *family {
	if len(labels) > maxLabels || !slices.IsSorted(bounds) || slices.ContainsFunc(append([]string{name}, labels...), func(w string) bool { return !word.MatchString(w) }) {
		panic("figures: " + name + " cannot be a family")
	}
	f := &family{name: name, help: help, kind: kind, labels: labels, bounds: bounds, series: map[[maxLabels]string]*series{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	at, taken := slices.BinarySearchFunc(s.families, name, func(f *family, name string) int { return strings.Compare(f.name, name) })
	if taken {
		panic("figures: there are two families " + name)
	}
	s.families = slices.Insert(s.families, at, f)
	return f
}

// Text is the answer to one scrape: families by name, series by their labels' values, so that equal figures give equal bytes. A family that has no series
// yet is left out.
func (s *Set) Text() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.before {
		f()
	}
	var b bytes.Buffer
	for _, f := range s.families {
		f.write(&b)
	}
	return b.Bytes()
}

// inHelp and inLabel escape as the format asks. What is not UTF-8 is replaced, since one wrong byte would spoil the whole scrape.
var (
	inHelp  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	inLabel = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

func (f *family) write(b *bytes.Buffer) {
	type line struct {
		values [maxLabels]string
		*series
	}
	var lines []line
	f.mu.RLock()
	for values, s := range f.series {
		lines = append(lines, line{values, s})
	}
	f.mu.RUnlock()
	if len(lines) == 0 {
		return
	}
	slices.SortFunc(lines, func(x, y line) int {
		return cmp.Or(strings.Compare(x.values[0], y.values[0]), strings.Compare(x.values[1], y.values[1]), strings.Compare(x.values[2], y.values[2]))
	})
	b.WriteString("# HELP " + f.name + " " + inHelp.Replace(f.help) + "\n# TYPE " + f.name + " " + f.kind + "\n")
	for _, l := range lines {
		sum := math.Float64frombits(l.value.Load())
		if f.kind != "histogram" {
			f.line(b, "", l.values, "", sum)
			continue
		}
		n := uint64(0) // buckets are written as running totals; an observation in between shows in all later ones
		for i := range l.buckets {
			n += l.buckets[i].Load()
			bound := math.Inf(1)
			if i < len(f.bounds) {
				bound = f.bounds[i]
			}
			f.line(b, "_bucket", l.values, number(bound), float64(n))
		}
		f.line(b, "_sum", l.values, "", sum)
		f.line(b, "_count", l.values, "", float64(n))
	}
}

// line writes one sample; le is the bound of a bucket, or nothing.
func (f *family) line(b *bytes.Buffer, suffix string, values [maxLabels]string, le string, v float64) {
	b.WriteString(f.name + suffix)
	open := byte('{')
	pair := func(name, value string) {
		b.WriteByte(open)
		b.WriteString(name + `="` + inLabel.Replace(strings.ToValidUTF8(value, "\uFFFD")) + `"`)
		open = ','
	}
	for i, name := range f.labels {
		pair(name, values[i])
	}
	if le != "" {
		pair("le", le)
	}
	if open == ',' {
		b.WriteByte('}')
	}
	b.WriteString(" " + number(v) + "\n")
}

// number is the shortest text that reads back as v: 1, 0.025, 1.5e+06, +Inf, NaN.
func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
