// Counting without enumerating. Counts are saturating 64-bit numbers while a prompt is read and walked; the
// exact number, which may have thousands of digits, is only computed when someone asks for it.

package prompt

import (
	"math"
	"math/big"
	"math/bits"
)

// many stands for every count that does not fit in 64 bits. An index always fits, so where a count is many,
// the whole index belongs to that part.
const many = math.MaxUint64

// add and mul stay at many once they are there.
func add(a, b uint64) uint64 {
	if sum, carry := bits.Add64(a, b, 0); carry == 0 {
		return sum
	}
	return many
}

func mul(a, b uint64) uint64 {
	if high, low := bits.Mul64(a, b); high == 0 {
		return low
	}
	return many
}

// falling is n × (n-1) × … , k factors: the ways to take k of n options in order. 0 if there are fewer than
// k.
func falling(n, k int) uint64 {
	out := uint64(1)
	for i := range k {
		if i >= n {
			return 0
		}
		out = mul(out, uint64(n-i))
	}
	return out
}

// class says how many options have the same number of variants. Of {a|b|{c|d}} there are two: two options
// with one variant, one with two.
type class struct {
	variants uint64
	options  int
}

// tuples counts the ways to take k different options in order, each in any of its variants: for two classes
// the sum over j of C(k, j) × (j of the first) × (k-j of the others). Time grows with k³ for each class and
// not with the options, so {50$$__names__} over a thousand names is counted at once.
func tuples(classes []class, k int) uint64 {
	if len(classes) == 1 {
		return mul(falling(classes[0].options, k), power(classes[0].variants, k))
	}
	row := make([]uint64, k+1) // by n: the ways to take n options of the classes so far
	row[0] = 1
	for _, c := range classes {
		for n := k; n >= 0; n-- {
			sum := uint64(0)
			for j := 0; j <= n; j++ {
				if row[n-j] != 0 {
					sum = add(sum, mul(binomial(n, j), mul(row[n-j], mul(falling(c.options, j), power(c.variants, j)))))
				}
			}
			row[n] = sum
		}
	}
	return row[k]
}

// power stops as soon as nothing changes any more: at 0, 1 and many.
func power(base uint64, k int) uint64 {
	out := uint64(1)
	for range k {
		if out = mul(out, base); out <= 1 || out == many {
			break
		}
	}
	return out
}

// pascal holds binomials up to maxTaken, some of them many; it is made once, when the program starts.
var pascal = func() (out [maxTaken + 1][]uint64) {
	for n := range out {
		out[n] = make([]uint64, n+1)
		out[n][0], out[n][n] = 1, 1
		for k := 1; k < n; k++ {
			out[n][k] = add(out[n-1][k-1], out[n-1][k])
		}
	}
	return out
}()

func binomial(n, k int) uint64 { return pascal[n][k] }

// counter counts without a limit. Nodes are shared, so what was counted is kept; only nodes whose count is
// many are in it.
type counter map[*node]*big.Int

// count is the number of variants of a node in mode all.
func (c counter) count(n *node) *big.Int {
	if n.n != many {
		return new(big.Int).SetUint64(n.n)
	}
	if have := c[n]; have != nil {
		return have
	}
	out := big.NewInt(1)
	if n.kind == choice {
		out = c.choice(n)
	} else {
		for _, kid := range n.kids {
			out.Mul(out, c.count(kid))
		}
	}
	c[n] = out
	return out
}

// choice adds up the ways to take each number of options, as tuples does.
func (c counter) choice(n *node) *big.Int {
	rows := make([]*big.Int, n.max+1)
	for k := range rows {
		rows[k] = new(big.Int)
	}
	rows[0].SetInt64(1)
	groups := map[string]int{}
	sizes := []*big.Int{}
	for _, kid := range n.kids {
		// Classes by their exact numbers now: two that are both many as 64-bit numbers may differ.
		size := c.count(kid)
		if groups[size.String()]++; groups[size.String()] == 1 {
			sizes = append(sizes, size)
		}
	}
	for _, size := range sizes {
		c.group(rows, size, groups[size.String()])
	}
	out := new(big.Int)
	for k := n.min; k <= n.max; k++ {
		out.Add(out, rows[k])
	}
	return out
}

// group brings the options of one size into the rows; it is one round of tuples with numbers of any size.
func (counter) group(rows []*big.Int, size *big.Int, options int) {
	for n := len(rows) - 1; n >= 0; n-- {
		sum := new(big.Int)
		ways := big.NewInt(1) // to take j of these options
		for j := 0; j <= n && j <= options; j++ {
			if j > 0 {
				ways.Mul(ways, size).Mul(ways, big.NewInt(int64(options-j+1)))
			}
			term := new(big.Int).Binomial(int64(n), int64(j))
			sum.Add(sum, term.Mul(term, ways).Mul(term, rows[n-j]))
		}
		rows[n] = sum
	}
}
