// Factors are what is multiplied. Everything that fixes which values go together (zip groups, matrices
// nested in values) is settled here as a table of rows, so that behind it a coordinate is only a number in
// a mixed radix: one digit for each factor.

package sweep

import (
	"bytes"
	"slices"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// factor is one dimension of the product: rows that set one axis or several. {style: [{value: oil, matrix:
// {brush: [1, 2]}}, ink]} has the rows oil 1, oil 2 and ink -1: the last has no brush.
type factor struct {
	axes []int   // indexes in Sweep.Axes, the columns of the table
	n    uint64  // rows, at least 1 in a sweep without findings
	rows []int32 // n × len(axes) value indexes, -1 for none; nil if row i of the only axis is its value i
}

// fill sets the axes of a factor to the values of one of its rows; the entries of other axes are left
// alone.
func (f *factor) fill(row uint64, values []int) {
	if f.rows == nil {
		values[f.axes[0]] = int(row)
		return
	}
	width := uint64(len(f.axes))
	for k, v := range f.rows[row*width : (row+1)*width] {
		values[f.axes[k]] = int(v)
	}
}

// condition is "this axis has this value"; a value of -1 is one that the axis does not have.
type condition struct {
	axis  int   // in Sweep.Axes
	value int32 // its index on the axis
}

type conditions []condition

// matrix makes a factor of each axis of the matrix, in the order in which the file has them.
func (b *builder) matrix() {
	if b.spec.Matrix == nil {
		return
	}
	for i := range b.spec.Matrix.Members {
		m := &b.spec.Matrix.Members[i]
		a, ok := b.declare(m)
		if !ok {
			continue
		}
		// There are three ways, the cheapest first: numbers as packed text, distinct values without a table,
		// and rows.
		before := b.list.Errors()
		if p := b.longAxis(m.Key, m.Value, b.kind(m.Key)); p != nil {
			b.s.Axes[a].packed, b.s.Axes[a].Original = p, p.len()
			b.s.factors = append(b.s.factors, factor{axes: []int{a}, n: uint64(p.len())})
			continue
		}
		if b.list.Errors() > before {
			continue
		}
		entries, mode := b.entries(m.Key, m.Value, b.kind(m.Key))
		b.setMode(a, mode)
		if b.flat(a, entries) {
			b.s.factors = append(b.s.factors, factor{axes: []int{a}, n: uint64(len(entries))})
		} else if rows := b.axisRows(a, entries, 0); rows != nil {
			b.addFactor(rows)
		}
	}
}

// flat takes the values of an axis as they are, if none is there twice and none holds a matrix of its own:
// then row i is value i, and no table is needed. False leaves the axis untouched for axisRows. Sorting the
// digests finds repeats without a map of all values.
func (b *builder) flat(a int, entries []entry) bool {
	axis := &b.s.Axes[a]
	digests := make([]digest, len(entries))
	for i := range entries {
		if entries[i].nested != nil {
			return false
		}
		digests[i] = digestOf(axis.Name, entries[i].value)
	}
	sorted := slices.Clone(digests)
	slices.SortFunc(sorted, func(x, y digest) int { return bytes.Compare(x[:], y[:]) })
	if len(entries) == 0 || len(slices.Compact(sorted)) < len(digests) {
		return false
	}
	axis.values = make([]Value, len(entries))
	for i, e := range entries {
		axis.values[i] = Value{e.value, e.label}
		b.made[a] = b.made[a] || e.made || mayClash(e.value)
	}
	axis.Original = len(entries)
	b.s.ids.digests[a] = digests
	return true
}

// axisRows gives the rows of an axis, nested axes multiplied out. Nil after a finding. depth is 0 for the
// axes of the matrix itself.
func (b *builder) axisRows(a int, entries []entry, depth int) []conditions {
	name := b.s.Axes[a].Name
	rows := make([]conditions, 0, len(entries))
	here := map[int32]bool{} // below the top the same value may well come again, under another value of the parent
	for _, e := range entries {
		v, fresh := b.intern(a, e)
		if depth > 0 {
			fresh, here[v] = !here[v], true
		}
		if !fresh && e.nested == nil {
			b.list.Add(diag.Warnf("duplicate_value", diag.Of(e.value), "axis %q has the value %s twice; it is used once", name, e.label))
			continue
		}
		if rows = b.nest(rows, condition{a, v}, e.nested, depth); rows == nil {
			return nil
		}
	}
	return rows
}

// innerRows reads an axis of a nested matrix and gives its rows.
func (b *builder) innerRows(m *source.Member, depth int) []conditions {
	a, ok := b.declare(m)
	if !ok {
		return nil
	}
	if depth > maxNesting {
		b.errorf("bad_axis", diag.OfKey(m), "axes are nested deeper than %d levels", maxNesting)
		return nil
	}
	entries, mode := b.entries(m.Key, m.Value, b.kind(m.Key))
	b.setMode(a, mode)
	return b.axisRows(a, entries, depth)
}

// nest appends the rows of one value: itself, or its product with the axes of its own matrix. Nil after a
// finding.
func (b *builder) nest(rows []conditions, c condition, matrix *source.Value, depth int) []conditions {
	product := []conditions{{c}}
	if matrix != nil {
		for i := range matrix.Members {
			inner := b.innerRows(&matrix.Members[i], depth+1)
			if inner == nil {
				return nil
			}
			if len(product)*len(inner)+len(rows) > maxRows {
				b.errorf("too_many_values", diag.Of(matrix), "a nested matrix has more than %d combinations", maxRows)
				return nil
			}
			product = cross(product, inner)
		}
	}
	return append(rows, product...)
}

// cross puts every left row together with every right one, the right ones faster, as nested loops would.
func cross(left, right []conditions) []conditions {
	out := make([]conditions, 0, len(left)*len(right))
	for _, l := range left {
		for _, r := range right {
			out = append(out, append(append(conditions{}, l...), r...))
		}
	}
	return out
}

// declare enters an axis, or finds it again when another value of the same parent nests it too. An axis
// belongs to one factor: two that set it would fight over its value.
func (b *builder) declare(m *source.Member) (int, bool) {
	now := len(b.s.factors) // the factor that is being made gets this index when it is added
	if a, ok := b.axis[m.Key]; ok {
		if b.owner[m.Key] == now && b.spec.Matrix.Member(m.Key) == nil {
			return a, true
		}
		b.list.Add(diag.Errorf("duplicate_axis", diag.OfKey(m), "axis %q is there twice", m.Key).Noted(b.s.Axes[a].Key, "the first one is here"))
		return 0, false
	}
	a := len(b.s.Axes)
	b.axis[m.Key], b.owner[m.Key] = a, now
	b.s.Axes = append(b.s.Axes, Axis{Name: m.Key, Key: diag.OfKey(m)})
	b.index = append(b.index, nil)
	b.s.ids.digests = append(b.s.ids.digests, nil)
	b.made = append(b.made, false)
	return a, true
}

// kind asks what the inputs take that an axis sets; the compiler knows from the node definitions.
func (b *builder) kind(axis string) Kind {
	if b.opt.Kind == nil {
		return Any
	}
	return b.opt.Kind(axis)
}

// setMode holds that all values of an axis are of one sort, across the places that declare it; within one
// list, see [builder.entries].
func (b *builder) setMode(a int, mode Mode) {
	axis := &b.s.Axes[a]
	if axis.Len() > 0 && axis.Mode != mode {
		b.errorf("bad_axis", axis.Key, "axis %q mixes kinds of values", axis.Name)
	}
	axis.Mode = mode
}

// intern gives the index of a value on its axis, and whether it is new there. Values are equal by digest,
// so 8 and 8.0 are one and keep the label of the first.
func (b *builder) intern(a int, e entry) (int32, bool) {
	axis := &b.s.Axes[a]
	d := digestOf(axis.Name, e.value)
	if v, ok := b.known(a)[d]; ok {
		return v, false
	}
	v := int32(axis.Len())
	b.index[a][d] = v
	b.s.ids.digests[a] = append(b.s.ids.digests[a], d)
	axis.values = append(axis.values, Value{e.value, e.label})
	axis.Original = axis.Len()
	b.made[a] = b.made[a] || e.made || mayClash(e.value)
	return v, true
}

// known gives the values of an axis by their digests; the table is made when it is first needed.
func (b *builder) known(a int) map[digest]int32 {
	if b.index[a] == nil {
		b.index[a] = make(map[digest]int32, b.s.Axes[a].Len())
		for i := range b.s.Axes[a].Len() {
			b.index[a][b.s.ids.digest(&b.s.Axes[a], a, i)] = int32(i)
		}
	}
	return b.index[a]
}

// mayClash tells whether another value could have the same label: true and "true", 8 and "8".
func mayClash(v *source.Value) bool {
	if v.Kind != source.String {
		return v.Kind != source.Number
	}
	_, number := parseDecimal(v.Text)
	return number
}

// addFactor makes a factor of rows. Rows may name different axes, or the same in another order; the table
// has a column for each axis that any row names, in order of first appearance.
func (b *builder) addFactor(rows []conditions) {
	// straight: row i sets the one axis to its value i, which needs no table.
	f := factor{n: uint64(len(rows))}
	column := map[int]int{}
	straight := true
	for i, row := range rows {
		for _, c := range row {
			if _, ok := column[c.axis]; !ok {
				column[c.axis] = len(f.axes)
				f.axes = append(f.axes, c.axis)
			}
		}
		straight = straight && len(row) == 1 && row[0].value == int32(i)
	}
	if !straight || len(f.axes) != 1 {
		f.rows = make([]int32, len(rows)*len(f.axes))
		for i := range f.rows {
			f.rows[i] = -1
		}
		for i, row := range rows {
			for _, c := range row {
				f.rows[i*len(f.axes)+column[c.axis]] = c.value
			}
		}
	}
	b.s.factors = append(b.s.factors, f)
}

// zip makes one factor of each group of axes that walk in step. `zip: {a: …, b: …}` is one group, a list of
// such maps several, which multiply each other.
func (b *builder) zip() {
	groups := []*source.Value{b.spec.Zip}
	switch {
	case b.spec.Zip == nil:
		return
	case b.spec.Zip.Kind == source.Array:
		groups = b.spec.Zip.Items
	}
	for _, g := range groups {
		b.zipGroup(g)
	}
}

// zipGroup reads the axes of one group, which must all have as many values as the first. Values may repeat:
// [a, a, b] beside [1, 2, 3].
func (b *builder) zipGroup(group *source.Value) {
	var rows []conditions
	for i := range group.Members {
		m := &group.Members[i]
		a, ok := b.declare(m)
		if !ok {
			return
		}
		entries, mode := b.entries(m.Key, m.Value, b.kind(m.Key))
		b.setMode(a, mode)
		if i == 0 {
			rows = make([]conditions, len(entries))
		}
		if len(entries) != len(rows) {
			b.list.Add(diag.Errorf("zip_length", diag.Of(m.Value), "axis %q has %d values, but the axes of a zip walk in step and %q has %d",
				m.Key, len(entries), group.Members[0].Key, len(rows)).Noted(diag.Of(group.Members[0].Value), "%d values", len(rows)))
			return
		}
		for k, e := range entries {
			if e.nested != nil {
				b.errorf("bad_axis", diag.Of(e.value), "a matrix within a value is not read in zip; write it under matrix")
				return
			}
			v, _ := b.intern(a, e)
			rows[k] = append(rows[k], condition{a, v})
		}
	}
	if rows != nil {
		b.addFactor(rows)
	}
}
