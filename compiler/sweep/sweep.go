package sweep

import (
	"fmt"
	"math/big"
	"math/bits"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// MaxCoordinates bounds the coordinates of one sweep.
const MaxCoordinates = 10_000_000

const (
	maxProduct = 1 << 62    // combinations that can be sampled from
	maxWalk    = 20_000_000 // combinations that are looked at one by one for excludes
	maxRows    = MaxValues  // rows of one factor
	maxNesting = 8
)

// Spec holds the parts of `sweep:` as they are written; absent ones are nil.
type Spec struct {
	Matrix, Zip, Include, Exclude, Sample *source.Value
	At                                    diag.Place // of the whole, for findings about its size
}

// Options are what a sweep needs of the batch around it. The zero value reads no files and takes strings as they are.
type Options struct {
	Seed uint64                                  // of everything that is drawn
	Kind func(axis string) Kind                  // what an axis sets; nil means Any
	Read func(name string) (*source.File, error) // opens lines, csv and jsonl
	Glob func(pattern string) ([]string, error)  // lists files, sorted, with forward slashes
}

// Sweep is the set of coordinates.
type Sweep struct {
	Axes []Axis

	factors  []factor
	product  uint64 // combinations of the factors; 0 if there are no factors but includes
	excludes []conditions
	includes []conditions
	alone    []int    // the includes that fit no combination: coordinates of their own
	picks    []uint64 // combination numbers that are left, nil for all; product+k is the k-th of alone
	ids      identity
	varied   *varied // what multiplies the coordinates; nil for nothing
}

// Build reads a sweep. Errors are findings; the Sweep is nil then.
func Build(spec Spec, opt Options) (*Sweep, []diag.Diagnostic) {
	b := &builder{opt: opt, spec: spec, s: &Sweep{}, axis: map[string]int{}, owner: map[string]int{}}
	for _, step := range []func(){
		b.matrix,   // factors of the matrix, nested axes among them
		b.zip,      // one factor for each group
		b.multiply, // how many combinations there are
		b.exclude,  // conditions that take combinations away
		b.include,  // what is merged or added
		b.label,    // labels unique on each axis
		b.pick,     // which combinations are left
	} {
		if step(); b.list.Failed() {
			return nil, b.list.Sorted()
		}
	}
	b.s.ids.sorted(b.s.Axes)
	return b.s, b.list.Sorted()
}

// builder is the state of Build.
type builder struct {
	opt   Options
	spec  Spec
	s     *Sweep
	list  diag.List
	axis  map[string]int     // name → index in s.Axes
	owner map[string]int     // name → the factor that walks it
	index []map[digest]int32 // by axis: its values; see known
	made  []bool             // labels of the axis may clash
	huge  *big.Int
}

func (b *builder) errorf(code string, at diag.Place, format string, args ...any) {
	b.list.Add(diag.Errorf(code, at, format, args...))
}

// Len is the number of coordinates.
func (s *Sweep) Len() int {
	if s.varied != nil {
		return s.varied.len()
	}
	if s.picks != nil {
		return len(s.picks)
	}
	return int(s.product) + len(s.alone)
}

// At fills values with the index of each axis' value at a coordinate, -1 for an axis that it does not have. values has the length of
// Axes.
func (s *Sweep) At(i int, values []int) {
	base := i
	if s.varied != nil {
		base = s.varied.base(i)
	}
	n := uint64(base)
	if s.picks != nil {
		n = s.picks[base]
	}
	if s.combination(n, values); s.varied != nil {
		s.varied.fill(i, base, values)
	}
}

// combination fills values for a combination number, includes merged.
func (s *Sweep) combination(n uint64, values []int) {
	for a := range values {
		values[a] = -1
	}
	if n >= s.product {
		for _, c := range s.includes[s.alone[n-s.product]] {
			values[c.axis] = int(c.value)
		}
		return
	}
	s.digits(n, values)
	if len(s.includes) > 0 {
		s.merge(values)
	}
}

// digits fills values from the factors alone, the last factor fastest.
func (s *Sweep) digits(n uint64, values []int) {
	for f := len(s.factors) - 1; f >= 0; f-- {
		factor := &s.factors[f]
		row := n % factor.n
		n /= factor.n
		factor.fill(row, values)
	}
}

// multiply counts the combinations. A product that does not fit in 62 bits is kept as a big number for the finding.
func (b *builder) multiply() {
	s := b.s
	if len(s.factors) == 0 && b.spec.Include != nil && len(b.spec.Include.Items) > 0 {
		return // only the includes run then
	}
	s.product = 1
	for _, f := range s.factors {
		high, low := bits.Mul64(s.product, f.n)
		if high != 0 || low > maxProduct {
			b.huge = big.NewInt(1)
			for _, f := range s.factors {
				b.huge.Mul(b.huge, new(big.Int).SetUint64(f.n))
			}
			b.tooMany(b.huge.String(), "shorten the axes: so many cannot even be sampled")
			return
		}
		s.product = low
	}
}

// tooMany refuses a sweep, with the count and what to do.
func (b *builder) tooMany(n, hint string) {
	b.list.Add(diag.Errorf("too_many_renders", b.spec.At, "the sweep has %s coordinates; at most %s are planned", group(n), group(fmt.Sprint(MaxCoordinates))).
		Hinted(hint))
}

// group sets commas between thousands.
func group(digits string) string {
	out := ""
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out += ","
		}
		out += string(c)
	}
	return out
}

// Always tells that every combination of the factors has a value on an axis. Coordinates that include adds may lack it all the same.
func (s *Sweep) Always(axis int) bool {
	for f := range s.factors {
		factor := &s.factors[f]
		for k, a := range factor.axes {
			if a != axis {
				continue
			}
			for row := range factor.n {
				if factor.rows != nil && factor.rows[int(row)*len(factor.axes)+k] < 0 {
					return false
				}
			}
			return true
		}
	}
	return false
}
