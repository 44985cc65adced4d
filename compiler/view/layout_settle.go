package view

// settle gives the cells of one component their heights. Each cell wants to be level with what it is joined
// to; in each column the sum of the squared distances from what is wanted is made as small as the gaps
// allow (isotonic regression, by merging blocks). Rounds go to the right with the left neighbours only and
// back with the right ones; the last four look at both.
func (l *layout) settle(columns [][]int) {
	for _, column := range columns {
		y := 0.0
		for p, c := range column {
			if p > 0 {
				y += l.gap(column[p-1], c)
			}
			l.cells[c].y = y
			y += l.cells[c].h
		}
		for _, c := range column { // every column is centred on 0 at first
			l.cells[c].y -= y / 2
		}
	}
	const rounds = 10
	for r := range rounds {
		both := r >= rounds-4
		for c := 1; c < len(columns); c++ {
			l.level(columns[c], true, both)
		}
		for c := len(columns) - 2; c >= 0; c-- {
			l.level(columns[c], both, true)
		}
	}
}

// gap is the room between two cells of a column, the first above the second.
func (l *layout) gap(a, b int) float64 {
	switch n := len(l.boxes); {
	case a < n && b < n:
		return gapBoxes
	case a < n || b < n:
		return (gapBoxes + gapBends) / 2
	}
	return gapBends
}

// block is a run of cells that touch: the offset of its first cell's top, the wanted mean, and how many cells it has.
type block struct {
	sum, weight float64
	cells       int
}

// at is where a block stands: the weighted mean of what its cells want.
func (b block) at() float64 { return b.sum / b.weight }

// level solves one column: blocks of cells that would overlap are merged and stand at the weighted mean of what their cells want.
func (l *layout) level(column []int, left, right bool) {
	blocks := make([]block, 0, len(column))
	offsets := make([]float64, len(column)) // of each cell if all stood close together
	for p, c := range column {
		if p > 0 {
			prev := column[p-1]
			offsets[p] = offsets[p-1] + l.cells[prev].h + l.gap(prev, c)
		}
		want, weight := l.wanted(c, left, right)
		b := block{(want - offsets[p]) * weight, weight, 1}
		for len(blocks) > 0 && blocks[len(blocks)-1].at() >= b.at() {
			last := blocks[len(blocks)-1]
			b = block{last.sum + b.sum, last.weight + b.weight, last.cells + b.cells}
			blocks = blocks[:len(blocks)-1]
		}
		blocks = append(blocks, b)
	}
	p := 0
	for _, b := range blocks {
		for range b.cells {
			l.cells[column[p]].y = b.at() + offsets[p]
			p++
		}
	}
}

// wanted is where a cell would like its top to be, and how much; one without neighbours on those sides
// wants to stay, but hardly.
func (l *layout) wanted(c int, left, right bool) (y, weight float64) {
	sum := 0.0
	if left {
		for _, j := range l.cells[c].left {
			k := &l.joints[j]
			sum += (l.cells[k.a].y + k.ya - k.yb) * k.weight
			weight += k.weight
		}
	}
	if right {
		for _, j := range l.cells[c].right {
			k := &l.joints[j]
			sum += (l.cells[k.b].y + k.yb - k.ya) * k.weight
			weight += k.weight
		}
	}
	if weight == 0 {
		return l.cells[c].y, 0.01
	}
	return sum / weight, weight
}
