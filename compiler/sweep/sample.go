package sweep

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/comfyc/comfyc/compiler/diag"
)

// pick decides which combinations are left: all, those that no exclude takes, or a sample of them.
func (b *builder) pick() {
	s := b.s
	total := s.product + uint64(len(s.alone))
	switch {
	case b.spec.Sample != nil:
		b.sample(total)
	case len(s.excludes) == 0:
		if total > MaxCoordinates {
			b.tooMany(fmt.Sprint(total), "add sample: {count: 500} to take a random part")
			return
		}
	case s.product > maxWalk:
		b.tooMany(fmt.Sprint(total)+" (before exclude)", "add sample: {count: 500} to take a random part")
		return
	default:
		b.walk(total)
	}
	if s.Len() == 0 && !b.list.Failed() {
		b.errorf("nothing_left", b.spec.At, "nothing is left of the sweep: exclude takes every combination")
	}
}

// walk keeps the combinations that no exclude takes, and the includes that stand alone.
func (b *builder) walk(total uint64) {
	s := b.s
	values := make([]int, len(s.Axes))
	s.picks = []uint64{}
	for n := range total {
		if b.taken(n, values) {
			continue
		}
		if s.picks = append(s.picks, n); len(s.picks) > MaxCoordinates {
			b.tooMany("more than "+fmt.Sprint(MaxCoordinates), "add sample: {count: 500} to take a random part")
			return
		}
	}
}

// taken tells whether an exclude takes a combination.
func (b *builder) taken(n uint64, values []int) bool {
	if n >= b.s.product || len(b.s.excludes) == 0 {
		return false
	}
	for a := range values {
		values[a] = -1
	}
	b.s.digits(n, values)
	return b.s.excluded(values)
}

// sample walks a random order of all combinations and takes the first that are not excluded. A larger count keeps what a smaller one
// took, and the product is never made.
func (b *builder) sample(total uint64) {
	v := b.spec.Sample.Get("count")
	want, ok := v.Int()
	if !ok || want < 1 || want > MaxCoordinates {
		b.errorf("bad_sample", diag.Of(v), "sample takes a count from 1 to %d", MaxCoordinates)
		return
	}
	seed := b.opt.Seed
	if n, ok := b.spec.Sample.Get("seed").Int(); ok {
		seed = uint64(n)
	}
	s := b.s
	values := make([]int, len(s.Axes))
	s.picks = make([]uint64, 0, min(uint64(want), total))
	order := newShuffle(total, seed)
	tries := min(total, maxWalk+uint64(want))
	for k := uint64(0); k < tries && len(s.picks) < want; k++ {
		if n := order.at(k); !b.taken(n, values) {
			s.picks = append(s.picks, n)
		}
	}
	slices.Sort(s.picks)
}

// shuffle is a fixed random order of the numbers below n: a Feistel network over the next even number of bits, walked on until it gives
// a number below n.
type shuffle struct {
	n    uint64
	half uint // bits of each half
	keys [4]uint64
}

// newShuffle makes an order of the numbers below n; equal seeds give equal orders on every machine.
func newShuffle(n, seed uint64) shuffle {
	s := shuffle{n: n, half: uint(bits.Len64(max(n, 4)-1)+1) / 2}
	for i := range s.keys {
		seed += 0x9e3779b97f4a7c15
		s.keys[i] = scramble(seed)
	}
	return s
}

// at gives the k-th number of the order; k is below n.
func (s shuffle) at(k uint64) uint64 {
	mask := uint64(1)<<s.half - 1
	for {
		left, right := k>>s.half, k&mask
		for _, key := range s.keys {
			left, right = right, left^scramble(right^key)&mask
		}
		if k = left<<s.half | right; k < s.n {
			return k
		}
	}
}

// scramble mixes the bits of a number (the finalizer of splitmix64).
func scramble(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
