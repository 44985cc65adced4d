package sweep

import (
	"slices"
	"sort"
	"strconv"

	"github.com/comfyc/comfyc/compiler/diag"
)

// Variation is an axis whose values depend on the coordinate, such as the texts that a dynamic prompt stands for.
type Variation struct {
	Name   string
	Key    diag.Place
	Values []Value // of all coordinates; labels need not be unique
}

// Variants are the values of one coordinate on the axes of a variation: either From[a] and the N[a]-1 values behind it on each axis a, in
// every combination, the last axis fastest; or the combinations themselves, in Rows.
type Variants struct {
	From, N []int
	Rows    [][]int
}

// Len counts the combinations. Those that do not fit in an int count as the largest int.
func (v *Variants) Len() int {
	if v.Rows != nil {
		return len(v.Rows)
	}
	n := 1
	for _, k := range v.N {
		if k > 0 && n > int(^uint(0)>>1)/k {
			return int(^uint(0) >> 1)
		}
		n *= k
	}
	return n
}

// fill sets the values of the axes from the first one on.
func (v *Variants) fill(k int, values []int) {
	if v.Rows != nil {
		copy(values, v.Rows[k])
		return
	}
	for a := len(v.N) - 1; a >= 0; a-- {
		values[a] = v.From[a] + k%v.N[a]
		k /= v.N[a]
	}
}

// varied is what multiplies the coordinates of a sweep.
type varied struct {
	axis   int        // the first of the added axes
	sets   []Variants // distinct ones
	of     []int32    // by coordinate of the sweep without them: its set
	starts []int32    // by the same: how many coordinates there are before it; nil if each has n
	n      int
}

// Vary multiplies every coordinate by its variants, which become the fastest part of the order. of gives the number of the set of variants of a
// coordinate's values; it is asked once for each, in order. Sets have at least one combination. The sweep is left as it is, and the number of
// coordinates returned with false, if there would be more than MaxCoordinates. It is called once, before the sweep is shared.
func (s *Sweep) Vary(axes []Variation, sets []Variants, of func(values []int) int) (int, bool) {
	v := &varied{axis: len(s.Axes), sets: sets, of: make([]int32, s.Len()), starts: make([]int32, s.Len()), n: sets[0].Len()}
	values := make([]int, len(s.Axes))
	total, same := 0, true
	for i := range v.of {
		s.At(i, values)
		v.of[i], v.starts[i] = int32(of(values)), int32(min(total, MaxCoordinates))
		n := sets[v.of[i]].Len()
		same = same && n == v.n
		if total += min(n, MaxCoordinates+1); n > MaxCoordinates && len(v.of) == 1 {
			total = n
		}
	}
	if total > MaxCoordinates {
		return total, false
	}
	if same {
		v.starts = nil
	}
	for _, axis := range axes {
		s.addVaried(axis)
	}
	s.varied = v
	s.ids.order = nil
	s.ids.sorted(s.Axes)
	return total, true
}

// addVaried enters an axis with its labels made unique.
func (s *Sweep) addVaried(v Variation) {
	digests := make([]digest, len(v.Values))
	values := slices.Clone(v.Values)
	seen := make(map[string]int, len(values))
	for i := range values {
		digests[i] = digestOf(v.Name, values[i].Value)
		if seen[values[i].Label]++; seen[values[i].Label] > 1 {
			values[i].Label += " #" + strconv.Itoa(seen[values[i].Label])
		}
	}
	s.Axes = append(s.Axes, Axis{Name: v.Name, Key: v.Key, Original: len(values), values: values})
	s.ids.digests = append(s.ids.digests, digests)
}

// len counts the coordinates.
func (v *varied) len() int {
	if v.starts == nil {
		return len(v.of) * v.n
	}
	last := len(v.of) - 1
	return int(v.starts[last]) + v.sets[v.of[last]].Len()
}

// base gives the coordinate of the sweep without the added axes.
func (v *varied) base(i int) int {
	if v.starts == nil {
		return i / v.n
	}
	return sort.Search(len(v.starts), func(j int) bool { return int(v.starts[j]) > i }) - 1
}

// fill sets the values of the added axes.
func (v *varied) fill(i, base int, values []int) {
	k := i - base*v.n
	if v.starts != nil {
		k = i - int(v.starts[base])
	}
	v.sets[v.of[base]].fill(k, values[v.axis:])
}
