package worker

import (
	"math"
	"math/bits"
)

// Nodes that draw at random must draw what torch and numpy draw, or the same
// seed gives another picture here than on a worker.

// twister is the Mersenne Twister that torch's CPU generator and numpy's
// seed() use (MT19937, seeded with one 32-bit number).
type twister struct {
	state [624]uint32 // 19937 bits, and 31 that do not count
	at    int         // the next word to give; 624 when all are used
}

// newTwister seeds the generator.
func newTwister(seed uint32) *twister {
	t := &twister{at: 624}
	t.state[0] = seed
	for i := uint32(1); i < 624; i++ {
		prev := t.state[i-1]
		t.state[i] = 1812433253*(prev^prev>>30) + i
	}
	return t
}

// next gives 32 random bits.
func (t *twister) next() uint32 {
	if t.at == 624 {
		t.turn()
	}
	y := t.state[t.at]
	t.at++
	// Tempering: the words of the state are not random enough in their low
	// bits.
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

// turn makes the next 624 words.
func (t *twister) turn() {
	for i := range t.state {
		// The top bit of one word and the rest of the next one, mixed with a
		// word 397 further on.
		y := t.state[i]&0x80000000 | t.state[(i+1)%624]&0x7fffffff
		v := t.state[(i+397)%624] ^ y>>1
		if y&1 != 0 {
			v ^= 0x9908b0df
		}
		t.state[i] = v
	}
	t.at = 0
}

// upTo gives a number from 0 to most, as numpy's legacy generator does: bits
// are masked and numbers above are thrown away. Nothing is drawn when most is 0.
func (t *twister) upTo(most uint32) uint32 {
	if most == 0 {
		return 0
	}
	// The smallest 2^k - 1 that is not below most: on average less than two
	// draws.
	mask := uint32(math.MaxUint32) >> bits.LeadingZeros32(most)
	for {
		if v := t.next() & mask; v <= most {
			return v
		}
	}
}

// shuffled is numpy.random.permutation(n).
func (t *twister) shuffled(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	// Fisher and Yates' shuffle from the end, one draw for each place.
	for i := n - 1; i > 0; i-- {
		j := t.upTo(uint32(i))
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// normals fills pix as torch.randn does on a CPU for 16 samples and more:
// uniform numbers first, then pairs eight apart become normal ones (Box-Muller);
// when the length is no multiple of 16 the last 16 are drawn anew.
func normals(pix []float32, t *twister) {
	if len(pix) < 16 {
		few := make([]float32, 16)
		normals(few, t)
		copy(pix, few)
		return
	}
	uniform(pix, t)
	for i := 0; i+16 <= len(pix); i += 16 {
		boxMuller(pix[i : i+16])
	}
	if len(pix)%16 != 0 {
		last := pix[len(pix)-16:]
		uniform(last, t)
		boxMuller(last)
	}
}

// uniform fills with numbers from 0 below 1, of 24 bits.
func uniform(pix []float32, t *twister) {
	for i := range pix {
		// A float32 has 24 bits, so every one of these numbers is exact.
		pix[i] = float32(t.next()&(1<<24-1)) / (1 << 24)
	}
}

// boxMuller makes 16 uniform numbers normal.
func boxMuller(p []float32) {
	for j := range 8 {
		// 1-p, as p may be 0 and is never 1.
		radius := math.Sqrt(-2 * math.Log(float64(1-p[j])))
		theta := 2 * math.Pi * float64(p[j+8])
		p[j], p[j+8] = float32(radius*math.Cos(theta)), float32(radius*math.Sin(theta))
	}
}
