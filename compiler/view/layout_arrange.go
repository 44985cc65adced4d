package view

import (
	"cmp"
	"slices"
)

// arrange orders the cells of each column of one component: sweeps to the right and to the left put each cell at the mean of its neighbours,
// and the order with the fewest crossings is kept.
func (l *layout) arrange(columns [][]int) {
	cells := 0
	for _, c := range columns {
		cells += len(c)
	}
	sweeps := 24 // as many as still help; a large drawing gets fewer
	if cells > 4000 {
		sweeps = 6
	}
	best, fewest := l.snapshot(columns), l.crossings(columns)
	for s := 0; s < sweeps && fewest > 0; s++ { // without crossings there is nothing to gain
		if s%2 == 0 {
			for c := len(columns) - 2; c >= 0; c-- {
				l.sortColumn(columns[c], false)
			}
		} else {
			for c := 1; c < len(columns); c++ {
				l.sortColumn(columns[c], true)
			}
		}
		if cells <= 1500 { // exchanges look at pairs of neighbours only, but at all of them in every sweep
			l.swap(columns)
		}
		if n := l.crossings(columns); n < fewest {
			best, fewest = l.snapshot(columns), n
		}
	}
	for c := range columns {
		copy(columns[c], best[c])
		l.number(columns[c])
	}
}

// snapshot copies the order of the columns.
func (l *layout) snapshot(columns [][]int) [][]int {
	out := make([][]int, len(columns))
	for c := range columns {
		out[c] = slices.Clone(columns[c])
	}
	return out
}

// number writes each cell's place in its column into the cell.
func (l *layout) number(column []int) {
	for p, c := range column {
		l.cells[c].pos = p
	}
}

// sortColumn orders a column by the barycentres over its left or its right neighbours. Cells without any keep their place among the others.
func (l *layout) sortColumn(column []int, left bool) {
	want := make([]float64, len(column))
	for p, c := range column {
		want[p] = l.barycentre(c, left, float64(p))
	}
	index := make([]int, len(column))
	for p := range index {
		index[p] = p
	}
	slices.SortStableFunc(index, func(a, b int) int { return cmp.Compare(want[a], want[b]) })
	old := slices.Clone(column)
	for p, from := range index {
		column[p] = old[from]
	}
	l.number(column)
}

// barycentre is the mean place of a cell's neighbours on one side, or otherwise if it has none there.
func (l *layout) barycentre(c int, left bool, otherwise float64) float64 {
	list := l.cells[c].right
	if left {
		list = l.cells[c].left
	}
	if len(list) == 0 {
		return otherwise
	}
	sum := 0.0
	for _, j := range list {
		sum += l.far(j, left)
	}
	return sum / float64(len(list))
}

// far is the place of a joint's other end in its column: the cell's index and where on the cell it is.
func (l *layout) far(j int, left bool) float64 {
	k := &l.joints[j]
	if left {
		return float64(l.cells[k.a].pos) + k.shareA
	}
	return float64(l.cells[k.b].pos) + k.shareB
}

// crossings counts the pairs of joints that cross, in all gaps between columns.
func (l *layout) crossings(columns [][]int) int {
	count := 0
	for c := 0; c+1 < len(columns); c++ {
		var joints []int
		for _, i := range columns[c] {
			joints = append(joints, l.cells[i].right...)
		}
		count += l.inversions(joints)
	}
	return count
}

// inversions counts the crossings of the joints in one gap: sorted by their left ends, it counts the pairs
// whose right ends are the other way round, by merging: n log n for n joints, where looking at all pairs
// would be n².
func (l *layout) inversions(joints []int) int {
	slices.SortStableFunc(joints, func(a, b int) int {
		return cmp.Or(cmp.Compare(l.far(a, true), l.far(b, true)), cmp.Compare(l.far(a, false), l.far(b, false)))
	})
	ends := make([]float64, len(joints))
	for i, j := range joints {
		ends[i] = l.far(j, false)
	}
	return countInversions(ends, make([]float64, len(ends)))
}

// countInversions sorts a and says how many pairs stood the wrong way round; buf is as long as a.
func countInversions(a, buf []float64) int {
	if len(a) < 2 {
		return 0
	}
	m := len(a) / 2
	n := countInversions(a[:m], buf[:m]) + countInversions(a[m:], buf[m:])
	i, j := 0, m
	for k := range buf {
		if j == len(a) || i < m && a[i] <= a[j] {
			buf[k] = a[i]
			i++
		} else {
			n += m - i
			buf[k] = a[j]
			j++
		}
	}
	copy(a, buf)
	return n
}

// swap exchanges neighbours in a column where that takes crossings away, which barycentres alone miss when
// two are equal.
func (l *layout) swap(columns [][]int) {
	for _, column := range columns {
		for p := 0; p+1 < len(column); p++ {
			a, b := column[p], column[p+1]
			if l.pairCrossings(b, a) < l.pairCrossings(a, b) {
				column[p], column[p+1] = b, a
				l.cells[b].pos, l.cells[a].pos = p, p+1
			}
		}
	}
}

// maxPairs bounds the comparisons for one pair of cells; with more joints they stay as they are.
const maxPairs = 400

// pairCrossings counts the crossings between the joints of two neighbours if a is above b.
func (l *layout) pairCrossings(a, b int) int {
	count := 0
	for _, left := range []bool{true, false} {
		ja, jb := l.cells[a].right, l.cells[b].right
		if left {
			ja, jb = l.cells[a].left, l.cells[b].left
		}
		if len(ja)*len(jb) > maxPairs {
			continue
		}
		for _, x := range ja {
			for _, y := range jb {
				if l.far(x, left) > l.far(y, left) {
					count++
				}
			}
		}
	}
	return count
}
