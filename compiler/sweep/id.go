// Ids outlive the file they were made from: finished renders are found again by them, so nothing here may
// depend on the order of axes or values, on labels, or on which other values there are. A change of the
// hashing would orphan every stored coordinate.

package sweep

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/comfyc/comfyc/compiler/source"
)

// digest names one value of one axis: 128 bits of a SHA-256, so that a repeat among 10^6 values is out of
// the question.
type digest [16]byte

// digestOf hashes the axis' name and the value; numbers count by what they are, so that 8 and 8.0 are one
// value, but 8 and "8" are two.
func digestOf(axis string, v *source.Value) digest {
	text := append([]byte(axis), 0) // no name holds a zero byte, so name and value cannot run into each other
	sum := sha256.Sum256(appendCanonical(text, v))
	return digest(sum[:16])
}

// appendCanonical writes a value in one form for all its spellings. The letters keep the kinds apart;
// members stay in their order, which the code that makes LoRA pairs fixes.
func appendCanonical(dst []byte, v *source.Value) []byte {
	switch {
	case v.Kind == source.Number:
		return append(append(dst, 'n'), Canonical(v)...)
	case v.Kind == source.Array:
		for _, item := range v.Items {
			dst = append(appendCanonical(append(dst, 'a'), item), ',')
		}
		return dst
	case v.Kind == source.Object:
		for _, m := range v.Members {
			dst = append(source.AppendQuoted(append(dst, 'o'), m.Key), ':')
			dst = append(appendCanonical(dst, m.Value), ',')
		}
		return dst
	}
	return v.AppendJSON(dst)
}

// Canonical gives one text for all spellings of a number: 8 for 8.0 and 8e0, 0.5 for .50. Integers keep
// every digit, as seeds reach 2^64-1 and a float would round them.
func Canonical(v *source.Value) string {
	if v.IsInt() {
		if text := strings.TrimPrefix(v.Text, "+"); text != "-0" {
			return text
		}
		return "0"
	}
	f, ok := v.Float()
	if !ok {
		return v.Text
	}
	return strconv.FormatFloat(f+0, 'f', -1, 64) // adding 0 turns -0 into 0
}

// identity holds what ids are made of.
type identity struct {
	order   []int      // axes by name
	digests [][]digest // by axis and value, packed ones left out
}

// digest gives the hash of one value; those of packed values are made anew.
func (id *identity) digest(axis *Axis, a, v int) digest {
	if n := axis.packed.len(); v >= n {
		return id.digests[a][v-n]
	}
	return digestOf(axis.Name, axis.packed.value(v).Value)
}

// sorted puts the axes in the order of their names. It appends, so the order is emptied before a second
// call.
func (id *identity) sorted(axes []Axis) {
	for a := range axes {
		id.order = append(id.order, a)
	}
	slices.SortFunc(id.order, func(a, b int) int { return cmp.Compare(axes[a].Name, axes[b].Name) })
}

// ID names a coordinate by its axis names and values: 16 hex digits, the same whatever else the sweep
// holds. values are indexes as [Sweep.At] fills them; axes with -1 do not count, so adding an axis that a
// coordinate lacks keeps its id.
func (s *Sweep) ID(values []int) string {
	var buf [16 * 8]byte // eight axes fit without an allocation
	text := buf[:0]
	for _, a := range s.ids.order {
		if v := values[a]; v >= 0 {
			d := s.ids.digest(&s.Axes[a], a, v)
			text = append(text, d[:]...)
		}
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8]) // 64 bits: among 10^7 coordinates two are equal once in 370,000 sweeps
}

// label makes the labels of each axis unique: the second "x" becomes "x #2". Galleries and file names tell
// values apart by them. Axes whose labels are the texts of distinct strings or numbers cannot clash and are
// passed over.
func (b *builder) label() {
	for a := range b.s.Axes {
		if !b.made[a] {
			continue
		}
		seen := map[string]int{}
		for i := range b.s.Axes[a].values {
			v := &b.s.Axes[a].values[i]
			base := v.Label
			for seen[v.Label] > 0 { // "x #2" may itself be a label that was given
				seen[base]++
				v.Label = base + " #" + strconv.Itoa(seen[base])
			}
			seen[v.Label]++
		}
	}
}
