package sweep

import (
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// include reads what is merged or added. As in GitHub Actions, an entry is merged into every combination none of whose own values it
// would overwrite; values that an earlier entry merged may be overwritten. An entry that fits no combination, or only excluded ones,
// becomes a coordinate of its own.
func (b *builder) include() {
	original := make([]int, len(b.s.Axes))
	for a := range original {
		original[a] = b.s.Axes[a].Original
	}
	for _, item := range items(b.spec.Include) {
		var all conditions
		for i := range item.Members {
			c, ok := b.includeCondition(&item.Members[i])
			if !ok {
				return
			}
			all = append(all, c)
		}
		b.s.includes = append(b.s.includes, all)
	}
	for a := range b.s.Axes {
		if b.s.Axes[a].Original = 0; a < len(original) {
			b.s.Axes[a].Original = original[a]
		}
	}
	for i, all := range b.s.includes {
		if !b.fits(all) {
			b.s.alone = append(b.s.alone, i)
		}
	}
}

// includeCondition reads one axis of an entry, which may be new, and so may its value.
func (b *builder) includeCondition(m *source.Member) (condition, bool) {
	a, ok := b.axis[m.Key]
	if !ok {
		a, _ = b.declare(m)
	}
	if v := b.find(a, m.Value); v >= 0 {
		return condition{a, v}, true
	}
	if mode := b.s.Axes[a].Mode; mode == Lora || mode == Replace {
		b.list.Add(diag.Errorf("unknown_value", diag.Of(m.Value), "axis %q has no value %s; include can only name values that it has", m.Key, Text(m.Value)).
			Hinted(diag.Suggest(Text(m.Value), b.labels(a))))
		return condition{}, false
	}
	if m.Value.Kind == source.Array || m.Value.Kind == source.Object && m.Value.Get("value") == nil {
		b.errorf("bad_axis", diag.Of(m.Value), "include gives axis %q one value", m.Key)
		return condition{}, false
	}
	e := plain(m.Value)
	if m.Value.Kind == source.Object {
		if more := b.valueEntry(m.Key, m.Value, Any); more != nil {
			e = more[0]
		}
	}
	v, _ := b.intern(a, e)
	return condition{a, v}, true
}

// fits tells whether an entry can be merged into a combination that is left. Without excludes each factor is asked by itself; with
// them the fitting rows are walked until one combination is not excluded.
func (b *builder) fits(all conditions) bool {
	s := b.s
	if s.product == 0 {
		return false
	}
	want := make([]int, len(s.Axes))
	for a := range want {
		want[a] = -1
	}
	for _, c := range all {
		want[c.axis] = int(c.value)
	}
	rows := make([][]uint64, len(s.factors))
	values := make([]int, len(s.Axes))
	for f := range s.factors {
		if rows[f] = s.factors[f].compatible(want, values); len(rows[f]) == 0 {
			return false
		}
	}
	if len(s.excludes) == 0 {
		return true
	}
	return s.survivor(rows, values)
}

// compatible lists the rows of a factor that set no axis to another value than the wanted one.
func (f *factor) compatible(want, values []int) []uint64 {
	var out []uint64
	for row := range f.n {
		f.fill(row, values)
		ok := true
		for _, a := range f.axes {
			ok = ok && (want[a] < 0 || values[a] < 0 || values[a] == want[a])
		}
		if ok {
			out = append(out, row)
		}
	}
	return out
}

// survivor walks the product of some rows of each factor until it finds a combination that is not excluded.
func (s *Sweep) survivor(rows [][]uint64, values []int) bool {
	at := make([]int, len(rows))
	for range maxWalk {
		for a := range values {
			values[a] = -1
		}
		for f := range rows {
			s.factors[f].fill(rows[f][at[f]], values)
		}
		if !s.excluded(values) {
			return true
		}
		f := len(rows) - 1
		for ; f >= 0; f-- {
			if at[f]++; at[f] < len(rows[f]) {
				break
			}
			at[f] = 0
		}
		if f < 0 {
			return false
		}
	}
	return false
}

// merge adds the values of the includes that fit a combination.
func (s *Sweep) merge(values []int) {
	var own [64]bool // which axes the combination itself has
	has := own[:0]
	for _, v := range values {
		has = append(has, v >= 0)
	}
	for _, all := range s.includes {
		fits := true
		for _, c := range all {
			if has[c.axis] && values[c.axis] != int(c.value) {
				fits = false
				break
			}
		}
		for _, c := range all {
			if fits && !has[c.axis] {
				values[c.axis] = int(c.value)
			}
		}
	}
}
