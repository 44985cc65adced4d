package prompt

import (
	"math"
	"math/big"
	"math/bits"
)

// many stands for every count that does not fit in 64 bits.
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

// falling is n × (n-1) × … , k factors.
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

// class says how many options have the same number of variants.
type class struct {
	variants uint64
	options  int
}

// tuples counts the ways to take k different options in order, each in any of its variants: for two classes the sum over j of
// C(k, j) × (j of the first) × (k-j of the others).
func tuples(classes []class, k int) uint64 {
	if len(classes) == 1 {
		return mul(falling(classes[0].options, k), power(classes[0].variants, k))
	}
	row := make([]uint64, k+1)
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

func power(base uint64, k int) uint64 {
	out := uint64(1)
	for range k {
		if out = mul(out, base); out <= 1 || out == many {
			break
		}
	}
	return out
}

// pascal holds binomials up to maxTaken.
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

// counter counts without a limit.
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

// group brings the options of one size into the rows.
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
