package sweep

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strconv"
)

// Draw gives the k-th random seed of an axis, k from 0, below 2^53 so that every JSON reader keeps it: the
// editor and most clients hold numbers as 64-bit floats. It depends on the batch's seed, the axis' name and
// k alone: drawing more keeps the earlier ones.
func Draw(seed uint64, axis string, k int) uint64 {
	text := "seed\x00" + strconv.FormatUint(seed, 10) + "\x00" + axis + "\x00" + strconv.Itoa(k)
	sum := sha256.Sum256([]byte(text))
	return binary.BigEndian.Uint64(sum[:8]) >> 11 // 64 bits less 11 are 53
}

// drawn gives n different seeds as decimal texts.
func drawn(seed uint64, axis string, n int) []string {
	seeds := make([]uint64, n)
	for k := range seeds {
		seeds[k] = Draw(seed, axis, k)
	}
	sorted := slices.Clone(seeds)
	slices.Sort(sorted)
	// The list of n seeds is tested as a whole, sorted, which is cheaper than a set of a million; only
	// after a repeat is one built.
	for k := n; len(slices.Compact(sorted)) < len(sorted); k++ { // hardly ever: two of 2^53 are equal
		seeds = withoutRepeats(append(seeds, Draw(seed, axis, k)))
		sorted = slices.Clone(seeds)
		slices.Sort(sorted)
	}
	out := make([]string, n)
	for k := range out {
		out[k] = strconv.FormatUint(seeds[k], 10)
	}
	return out
}

// withoutRepeats keeps the first of equal seeds, in order.
func withoutRepeats(seeds []uint64) []uint64 {
	seen := make(map[uint64]bool, len(seeds))
	return slices.DeleteFunc(seeds, func(s uint64) bool {
		was := seen[s]
		seen[s] = true
		return was
	})
}
