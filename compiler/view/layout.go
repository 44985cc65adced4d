package view

import "math"

// layout places the boxes of a View in columns, sources on the left. The passes in order:
//
//	components  what hangs together is laid out by itself and packed at the end
//	cut         links that close a cycle are set aside
//	layers      the longest path from the sources is a node's column; what feeds more than it takes moves right, next to its users
//	bend        links over several columns get a bend in each column between; links from one slot share them
//	arrange     the order in each column: barycentre sweeps, the one with the fewest crossings is kept
//	settle      the heights: each cell wants to be level with its neighbours; columns are solved exactly
//	columns     the x of each column; then components are packed on shelves
//
// Everything is decided by indexes and slices, never by the order of a map: the same View has the same layout.
// The method is that of Sugiyama and others for layered graphs. Workflows have tens to hundreds of nodes
// and are drawn in milliseconds; the bounds below keep a hostile one of 100,000 nodes from taking minutes.
type layout struct {
	v      *View
	boxes  []box
	cut    []bool // by link: it closes a cycle
	inlet  []int  // by link: its index in the ins of its node
	comp   []int  // by node
	layer  []int  // by node
	cells  []cell // the nodes first, by their index, then the bends
	joints []joint
	routes map[port][]int // the bends of an output slot, by layers
	plain  []int          // links that are drawn straight: those that close a cycle or are too long for bends
	width  float64        // in pixels, of the whole drawing
	height float64
}

// box is the size of a drawn node in pixels, and where its inputs and outputs are, from its top.
type box struct {
	w, h float64
	in   []float64       // by index in Node.ins
	out  map[int]float64 // by slot, for slots that links leave from
}

// cell is what stands in a column: a box or a bend.
type cell struct {
	layer, pos  int // the column, and the index in it
	comp        int
	x, y, w, h  float64 // of the column at a bend: w is the column's, h is 0
	left, right []int   // joints
}

// joint is a piece of a link between neighbouring columns. The y's are from the cells' tops, in pixels; the
// shares are where on a cell, 0 to 1.
type joint struct {
	a, b           int // the cells at its left and its right end
	ya, yb         float64
	shareA, shareB float64
	weight         float64 // how much it wants to be level
	link           int     // one of the links that run over it
}

// port is an output slot of a node.
type port struct{ node, slot int }

// gaps in pixels: between two boxes, two bends, two columns, and around the whole.
const (
	gapBoxes   = 24.0
	gapBends   = 9.0
	gapColumns = 64.0
	margin     = 28.0
)

// newLayout places everything. The sizes of the boxes go in; their widths may grow, since the boxes of a
// column are made equally wide.
func newLayout(v *View, boxes []box) *layout {
	l := &layout{v: v, boxes: boxes, inlet: make([]int, len(v.Links)), routes: map[port][]int{}}
	for i := range v.Nodes {
		for at, k := range v.Nodes[i].ins {
			l.inlet[k] = at
		}
	}
	l.components()
	l.cutCycles()
	l.layers()
	l.bend()
	columns := l.columns()
	for _, c := range columns {
		l.arrange(c)
		l.settle(c)
		l.spread(c)
	}
	l.pack(columns)
	return l
}

// components numbers what hangs together, in the order of the nodes, with links followed in both
// directions.
func (l *layout) components() {
	n := len(l.v.Nodes)
	l.comp = make([]int, n)
	for i := range l.comp {
		l.comp[i] = -1
	}
	count := 0
	for i := range l.comp {
		if l.comp[i] >= 0 {
			continue
		}
		l.comp[i] = count
		for stack := []int{i}; len(stack) > 0; {
			at := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			for _, next := range l.around(at) {
				if l.comp[next] < 0 {
					l.comp[next] = count
					stack = append(stack, next)
				}
			}
		}
		count++
	}
}

// around lists the neighbours of a node.
func (l *layout) around(i int) []int {
	n := &l.v.Nodes[i]
	out := make([]int, 0, len(n.ins)+len(n.outs))
	for _, k := range n.ins {
		out = append(out, l.v.Links[k].From)
	}
	for _, k := range n.outs {
		out = append(out, l.v.Links[k].To)
	}
	return out
}

// cutCycles finds the links that close a cycle: those that a walk in depth meets on its own path. Without
// them the graph has layers. The walk keeps its own stack, next says which of a node's links comes next.
func (l *layout) cutCycles() {
	l.cut = make([]bool, len(l.v.Links))
	const onPath, done = 1, 2
	state := make([]uint8, len(l.v.Nodes))
	next := make([]int, len(l.v.Nodes))
	for root := range l.v.Nodes {
		if state[root] != 0 {
			continue
		}
		state[root] = onPath
		for path := []int{root}; len(path) > 0; {
			at := path[len(path)-1]
			outs := l.v.Nodes[at].outs
			if next[at] == len(outs) {
				state[at] = done
				path = path[:len(path)-1]
				continue
			}
			link := outs[next[at]]
			next[at]++
			switch to := l.v.Links[link].To; state[to] {
			case onPath:
				l.cut[link] = true
				l.plain = append(l.plain, link)
			case 0:
				state[to] = onPath
				path = append(path, to)
			}
		}
	}
}

// spread gives the columns of one component their x, from 0, and the boxes of a column the same width.
// Where many links pass between two columns, they stand further apart.
func (l *layout) spread(columns [][]int) {
	x := 0.0
	for _, column := range columns {
		wide, joints := 0.0, 0
		for _, c := range column {
			if c < len(l.boxes) {
				wide = max(wide, l.boxes[c].w)
			}
			joints += len(l.cells[c].right)
		}
		for _, c := range column {
			l.cells[c].x, l.cells[c].w = x, wide
			if c < len(l.boxes) {
				l.boxes[c].w = wide
			}
		}
		x += wide + gapColumns + min(float64(joints)*3, 90)
	}
}

// pack puts the components on shelves, from left to right and from top to bottom, large ones first.
func (l *layout) pack(columns [][][]int) {
	type frame struct {
		comp       int
		w, h, x, y float64
	}
	frames := make([]frame, len(columns))
	area, widest := 0.0, 900.0
	for i, c := range columns {
		w, h := l.frame(c)
		frames[i] = frame{comp: i, w: w, h: h}
		area += (w + 2*margin) * (h + 2*margin)
		widest = max(widest, w)
	}
	sortBy(frames, func(f frame) float64 { return -f.h*1e6 - f.w }) // by height, then by width
	limit := max(widest, math.Sqrt(area)*1.25)                      // a little wider than high, as screens are
	x, y, shelf := 0.0, 0.0, 0.0
	for i := range frames {
		f := &frames[i]
		if x > 0 && x+f.w > limit {
			x, y, shelf = 0, y+shelf+2*margin, 0
		}
		f.x, f.y = x, y
		x += f.w + 2*margin
		shelf = max(shelf, f.h)
		l.width, l.height = max(l.width, f.x+f.w), max(l.height, f.y+f.h)
	}
	dx, dy := make([]float64, len(frames)), make([]float64, len(frames))
	for _, f := range frames {
		dx[f.comp], dy[f.comp] = f.x, f.y
	}
	for i := range l.cells {
		c := &l.cells[i]
		c.x += dx[c.comp]
		c.y += dy[c.comp]
	}
}

// frame moves a component's top to 0 and gives its size.
func (l *layout) frame(columns [][]int) (w, h float64) {
	top := math.Inf(1)
	for _, column := range columns {
		for _, c := range column {
			top = min(top, l.cells[c].y)
		}
	}
	for _, column := range columns {
		for _, i := range column {
			c := &l.cells[i]
			c.y -= top
			w, h = max(w, c.x+c.w), max(h, c.y+c.h)
		}
	}
	return w, h
}
