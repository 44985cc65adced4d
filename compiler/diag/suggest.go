// Suggestions for misspelt names. A wrong suggestion costs a reader more than none, so the bounds are
// tight, and cases in which several names are equally near by their beginnings give none.

package diag

import (
	"fmt"
	"strings"
)

// Suggest gives `did you mean "x"?` for the name among names that is nearest to what was written, or "" if
// none is near: equal but for case, within a third of its letters by insertions, deletions, replacements
// and swaps, or the only one that begins or ends with what was written, or the other way round. Distances
// are taken to at most 20,000 names of at most 200 bytes.
func Suggest(written string, names []string) string {
	if best := Nearest(written, names); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return ""
}

// Nearest gives the nearest name alone, "" if none is near; of equally near ones the first.
func Nearest(written string, names []string) string {
	if written == "" || len(written) > 200 {
		return ""
	}
	lower := strings.ToLower(written)
	best, bestDistance := "", max(1, len(written)/3)+1 // at least one slip, also in names of two letters
	for i, name := range names {
		if i == 20_000 {
			break
		}
		if len(name) > 200 || name == written {
			continue
		}
		d := distance(lower, strings.ToLower(name), bestDistance)
		if d < bestDistance {
			best, bestDistance = name, d
		}
	}
	if best == "" {
		best = containing(lower, names)
	}
	return best
}

// containing finds the one name that begins or ends with what was written, or the other way round:
// "dpmpp_2m_sde_gpu" for "sde_gpu". Below four letters everything would fit; "" if several do.
func containing(lower string, names []string) string {
	found := ""
	for _, name := range names[:min(len(names), 20_000)] {
		n := strings.ToLower(name)
		if n == lower || len(n) > 200 {
			continue
		}
		if len(lower) >= 4 && (strings.HasPrefix(n, lower) || strings.HasSuffix(n, lower) || len(n) >= 4 && strings.HasPrefix(lower, n)) {
			if found != "" {
				return ""
			}
			found = name
		}
	}
	return found
}

// distance is the optimal string alignment distance of a and b in bytes, or limit if it is not below that.
// It keeps three rows of the table: a swap of neighbours looks two rows back.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		smallest := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
			smallest = min(smallest, cur[j])
		}
		if smallest >= limit { // no later row can be smaller than the smallest entry of this one
			return limit
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return min(prev[len(b)], limit)
}
