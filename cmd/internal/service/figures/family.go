package figures

import (
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// maxLabels is how many labels a family may have. The values of a series are an array of that size, so that a look-up allocates nothing.
const maxLabels = 3

// family is one name with its series, by the values of its labels.
type family struct {
	name, help, kind string
	labels           []string
	bounds           []float64 // of a histogram's buckets, rising, without +Inf

	mu     sync.RWMutex // guards the map; the series themselves are atomic
	series map[[maxLabels]string]*series
}

// series is one line of a counter or gauge, or the lines of one histogram.
type series struct {
	value   atomic.Uint64   // bits of a float64; of a histogram the sum of what was observed
	buckets []atomic.Uint64 // how many fell into each bucket alone; the last one is that of +Inf
}

// add is safe beside other adds and sets; floats have no atomic addition.
func (s *series) add(delta float64) {
	for {
		old := s.value.Load()
		if s.value.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+delta)) {
			return
		}
	}
}

// of finds the series of these values and makes it at its first use. As many values as labels must be given.
func (f *family) of(values []string) *series {
	if len(values) != len(f.labels) {
		panic("figures: " + f.name + " wants the labels " + strings.Join(f.labels, ", "))
	}
	var key [maxLabels]string
	copy(key[:], values)
	f.mu.RLock()
	s := f.series[key]
	f.mu.RUnlock()
	if s != nil {
		return s
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if s = f.series[key]; s == nil { // nobody else has made it meanwhile
		s = &series{}
		if f.kind == "histogram" {
			s.buckets = make([]atomic.Uint64, len(f.bounds)+1)
		}
		f.series[key] = s
	}
	return s
}

// Counter only grows while the process lives.
type Counter struct{ of *family }

// Inc adds one to the series of these label values, which stand in the order of the labels.
func (c Counter) Inc(values ...string) { c.of.of(values).add(1) }

// Set is for a total that somebody else keeps; it is called from a function given to [Set.Before].
func (c Counter) Set(total float64, values ...string) { c.of.set(total, values) }

// Gauge goes up and down.
type Gauge struct{ of *family }

// Set puts the series of these label values to v.
func (g Gauge) Set(v float64, values ...string) { g.of.set(v, values) }

// Add adds delta, which may be negative.
func (g Gauge) Add(delta float64, values ...string) { g.of.of(values).add(delta) }

func (f *family) set(v float64, values []string) { f.of(values).value.Store(math.Float64bits(v)) }

// Histogram counts observations by size.
type Histogram struct{ of *family }

// Observe counts v in the first bucket whose bound is not below it. What is not a number counts as beyond all bounds.
func (h Histogram) Observe(v float64, values ...string) {
	s := h.of.of(values)
	i := len(h.of.bounds)
	if !math.IsNaN(v) {
		i, _ = slices.BinarySearch(h.of.bounds, v)
	}
	s.buckets[i].Add(1)
	s.add(v)
}
