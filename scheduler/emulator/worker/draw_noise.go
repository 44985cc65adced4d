package worker

import "math"

// dice is a small random generator (splitmix64): same seeds, same numbers on
// every machine.
type dice struct{ state uint64 }

// newDice starts from a seed and a place in the batch.
func newDice(seed, place uint64) dice {
	// The first constant is splitmix64's own, 2^64 over the golden ratio:
	// neighbouring places get far apart. The second keeps seed 0 at place 0
	// from being state 0.
	d := dice{seed ^ place*0x9e3779b97f4a7c15 ^ 0x5851f42d4c957f2d}
	d.next()
	return d
}

// next gives 64 random bits.
func (d *dice) next() uint64 {
	d.state += 0x9e3779b97f4a7c15
	return scramble(d.state)
}

// scramble spreads a number over all bits.
func scramble(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// between gives a number from lo, below hi: the upper 53 bits, as many as a
// float64 keeps.
func (d *dice) between(lo, hi float64) float64 {
	return lo + (hi-lo)*float64(d.next()>>11)/(1<<53)
}

// textHash is a seed for a text (FNV-1a).
func textHash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return scramble(h)
}

// noise is smooth value noise on a lattice of 256 × 256 that repeats.
type noise struct {
	order [256]uint8   // a permutation: it mixes the two coordinates
	value [256]float64 // -1 to 1
}

// newNoise shuffles a lattice.
func newNoise(seed uint64) *noise {
	d, n := newDice(seed, 0), &noise{}
	for i := range n.order {
		n.order[i] = uint8(i)
		n.value[i] = d.between(-1, 1)
	}
	for i := len(n.order) - 1; i > 0; i-- {
		j := int(d.next() % uint64(i+1))
		n.order[i], n.order[j] = n.order[j], n.order[i]
	}
	return n
}

// at gives -1..1 at a point.
func (n *noise) at(x, y float64) float64 {
	fx, fy := math.Floor(x), math.Floor(y)
	ix, iy := uint8(int(fx)), uint8(int(fy))
	u, v := x-fx, y-fy
	// Eased, so that no edges of the lattice show.
	u, v = u*u*(3-2*u), v*v*(3-2*v)
	// Bytes wrap around at 256, and the lattice with them.
	left, right := n.order[ix], n.order[ix+1]
	a, b := n.value[n.order[left+iy]], n.value[n.order[right+iy]]
	c, d := n.value[n.order[left+iy+1]], n.value[n.order[right+iy+1]]
	top, low := a+(b-a)*u, c+(d-c)*u
	return top + (low-top)*v
}

// fractal adds octaves, each twice as fine and half as strong.
func (n *noise) fractal(x, y float64, octaves int) float64 {
	sum, part := 0.0, 0.5
	for range octaves {
		sum += part * n.at(x, y)
		// Not exactly 2, and moved: or the octaves' lattices would lie on each
		// other.
		x, y, part = x*2.03+17.1, y*2.03+9.7, part/2
	}
	return sum
}
