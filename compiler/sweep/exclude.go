package sweep

import (
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// exclude reads the conditions that take combinations away: all of one entry must hold, and the axes that
// it does not name may have any value, as in GitHub Actions.
func (b *builder) exclude() {
	for _, item := range items(b.spec.Exclude) {
		var all conditions
		for i := range item.Members {
			c, ok := b.excludeCondition(&item.Members[i])
			if !ok { // the finding is made; the entry takes nothing away rather than too much
				all = nil
				break
			}
			all = append(all, c)
		}
		if all != nil {
			b.s.excludes = append(b.s.excludes, all)
		}
	}
}

// excludeCondition reads one axis of an entry. A value that the axis does not have can only be a slip, but does no harm: a warning.
func (b *builder) excludeCondition(m *source.Member) (condition, bool) {
	a, ok := b.axis[m.Key]
	if !ok {
		b.unknownAxis(m, "exclude")
		return condition{}, false
	}
	v := b.find(a, m.Value)
	if v < 0 {
		b.list.Add(diag.Warnf("exclude_nothing", diag.Of(m.Value), "axis %q has no value %s, so this excludes nothing", m.Key, Text(m.Value)).
			Hinted(diag.Suggest(Text(m.Value), b.labels(a))).Noted(b.s.Axes[a].Key, "the axis is here"))
		return condition{}, false
	}
	return condition{a, v}, true
}

func (b *builder) unknownAxis(m *source.Member, where string) {
	b.list.Add(diag.Errorf("unknown_axis", diag.OfKey(m), "%s names an axis %q, which matrix and zip do not have", where, m.Key).
		Hinted(diag.Suggest(m.Key, b.names())))
}

func (b *builder) names() []string {
	var out []string
	for _, a := range b.s.Axes {
		out = append(out, a.Name)
	}
	return out
}

// labels lists the first labels of an axis, for suggestions.
func (b *builder) labels(a int) []string {
	axis := &b.s.Axes[a]
	var out []string
	for v := range min(axis.Len(), 1000) {
		out = append(out, axis.Value(v).Label)
	}
	return out
}

// find gives the index of a value that exclude or include names: by its value, else by its label; -1 if the
// axis does not have it. {value: 5, label: low} is found by 5, by "low", or by another object with the
// value 5. The walk over labels is linear; entries are few.
func (b *builder) find(a int, v *source.Value) int32 {
	if inner := v.Get("value"); inner != nil {
		v = inner
	}
	if i, ok := b.known(a)[digestOf(b.s.Axes[a].Name, v)]; ok {
		return i
	}
	text := Text(v)
	for i := range b.s.Axes[a].Len() {
		if b.s.Axes[a].Value(i).Label == text {
			return int32(i)
		}
	}
	return -1
}

// items gives the elements of a list that may be absent.
func items(v *source.Value) []*source.Value {
	if v == nil {
		return nil
	}
	return v.Items
}

// excluded tells whether the values of a combination, includes not merged, meet all conditions of some
// exclude. An axis that a combination lacks has -1 there, which equals no value, so an exclude that names
// it does not hold.
func (s *Sweep) excluded(values []int) bool {
	for _, all := range s.excludes {
		hit := true
		for _, c := range all {
			if values[c.axis] != int(c.value) {
				hit = false
				break
			}
		}
		if hit {
			return true
		}
	}
	return false
}
