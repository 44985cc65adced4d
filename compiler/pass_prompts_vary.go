package compiler

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/compiler/sweep"
)

// vary multiplies the sweep by the variants and lets the slots take them.
func (p *prompting) vary() bool {
	var sets []sweep.Variants
	known := map[string]int{}
	of := make([]int32, p.sweep.Len())
	for i := range of {
		key := p.textsAt(i)
		set, ok := known[key]
		if !ok {
			v, ok := p.variantsAt(i)
			if !ok {
				return false
			}
			set = len(sets)
			known[key] = set
			sets = append(sets, v)
		}
		of[i] = int32(set)
	}
	if !p.expandTexts(sets) {
		return false
	}
	axes := make([]sweep.Variation, len(p.groups))
	for k, g := range p.groups {
		if p.use(g.name) != nil {
			p.list.Add(diag.Errorf("duplicate_axis", p.use(g.name).key, "the axis of the variants of a prompt is called %q; give this one another name", g.name))
			return false
		}
		axes[k] = sweep.Variation{Name: g.name, Key: g.key, Values: g.values}
	}
	first, next := len(p.sweep.Axes), 0
	n, ok := p.sweep.Vary(axes, sets, func([]int) int { next++; return int(of[next-1]) })
	if !ok {
		p.tooMany(fmt.Sprintf("the prompts stand for %d renders or more; at most %d are planned", n, sweep.MaxCoordinates), diag.OfKey(p.batch.Prompts.at))
		return false
	}
	p.bindVariants(first)
	return true
}

// textsAt names the texts of all groups at a coordinate: coordinates with the same texts share a set of
// variants.
func (p *prompting) textsAt(i int) string {
	var b strings.Builder
	for _, g := range p.groups {
		fmt.Fprint(&b, g.of[i], " ")
	}
	return b.String()
}

// tooMany says how a prompt with too many variants can be cut down.
func (p *prompting) tooMany(message string, at diag.Place) {
	p.list.Add(diag.Errorf("too_many_renders", at, "%s", message).Hinted("prompts: {mode: random, count: 50} draws some; in mode all, count: 50 takes the first ones of each text"))
}

// variantsAt lists what the texts of a coordinate stand for: every combination in mode all, else draws that are made for all texts together.
func (p *prompting) variantsAt(i int) (v sweep.Variants, ok bool) {
	if p.batch.Prompts.Mode != "all" {
		return sweep.Variants{Rows: p.draws(i)}, true
	}
	for _, g := range p.groups {
		t := &g.texts[g.of[i]]
		if t.n == 0 && !p.enumerate(g, t) {
			return v, false
		}
		v.From, v.N = append(v.From, t.from), append(v.N, t.n)
	}
	return v, true
}

// enumerate makes the variants of a text in mode all; equal ones are one. The count is looked at before
// anything is made: it may have a thousand digits.
func (p *prompting) enumerate(g *promptGroup, t *groupText) bool {
	t.from = len(g.values)
	if t.template == nil {
		t.n = 1
		g.values = append(g.values, sweep.Value{Value: orNull(t.value), Label: sweep.Text(t.value)})
		return true
	}
	count := t.template.Count()
	if most := big.NewInt(int64(p.batch.Prompts.Count)); most.Sign() > 0 && count.Cmp(most) > 0 {
		count = most
	}
	if room := sweep.MaxValues - len(g.values); count.Cmp(big.NewInt(int64(room))) > 0 {
		p.tooMany(fmt.Sprintf("this prompt stands for %v texts; at most %d are made for one input", count, sweep.MaxValues), diag.Of(t.value))
		return false
	}
	seen := make(map[string]bool, count.Int64())
	for k := range count.Uint64() {
		if text := t.template.All(k); !seen[text] {
			seen[text] = true
			g.values = append(g.values, textValue(text, t.value))
		}
	}
	t.n = len(g.values) - t.from
	return true
}

// textValue makes a variant, at the place of the text that it comes from.
func textValue(text string, at *source.Value) sweep.Value {
	return sweep.Value{Value: source.NewString(text).At(at), Label: text}
}

// orNull lets null stand for "no value here", which variantOf undoes.
func orNull(v *source.Value) *source.Value {
	if v == nil {
		return source.NewNull()
	}
	return v
}

// draws makes up to count different combinations of draws. A text that is drawn again adds nothing to pay for, so more are tried, within reason;
// walking in cycles ends where it would begin again.
func (p *prompting) draws(i int) (rows [][]int) {
	count, tries := p.batch.Prompts.Count, p.batch.Prompts.Count
	if p.batch.Prompts.Mode == "random" {
		tries = 20*count + 100
	}
	seen := map[string]bool{}
	for n := 0; n < tries && len(rows) < count; n++ {
		row := make([]int, len(p.groups))
		for k, g := range p.groups {
			row[k] = p.draw(g, &g.texts[g.of[i]], n)
		}
		if key := fmt.Sprint(row); !seen[key] {
			seen[key] = true
			rows = append(rows, row)
		}
	}
	return rows
}

// draw gives the number of the n-th draw of a text on the axis of its group. What was drawn before, for
// any coordinate, has its number already.
func (p *prompting) draw(g *promptGroup, t *groupText, n int) int {
	v := sweep.Value{Value: orNull(t.value), Label: sweep.Text(t.value)}
	if t.template != nil && p.batch.Prompts.Mode == "random" {
		v = textValue(t.template.Random(p.batch.Seed, n), t.value)
	} else if t.template != nil {
		v = textValue(t.template.Cycle(n), t.value)
	}
	key := string(appendValue(nil, v.Value))
	have, ok := g.index[key]
	if !ok {
		have = len(g.values)
		g.index[key] = have
		g.values = append(g.values, v)
	}
	return have
}

// bindVariants lets the slots of each group take its axis. Their values then depend on that axis alone,
// whatever made the text.
func (p *prompting) bindVariants(first int) {
	r := p.values
	r.axes = p.sweep.Axes
	r.pieces = append(r.pieces, make([]map[int][]piece, len(p.groups))...)
	for k, g := range p.groups {
		for _, i := range g.slots {
			s := &r.slots[i]
			s.variant = first + k + 1
			if s.table = newTable([]int{first + k}, r.axes, maxTable); s.size > 0 {
				s.values = make([]*source.Value, s.size)
			} else {
				s.values = nil
			}
		}
	}
}

// sidesExist holds that the axes of variants that the gallery names are there; the others were looked at before.
func (c *compilation) sidesExist() bool {
	for _, side := range []string{"rows", "cols", "pages"} {
		v := c.batch.Root.Get("gallery").Get(side)
		if v == nil || !strings.HasSuffix(v.Text, "#") || slices.ContainsFunc(c.sweep.Axes, func(a sweep.Axis) bool { return a.Name == v.Text }) {
			continue
		}
		c.list.Add(diag.Errorf("unknown_axis", diag.Of(v), "gallery.%s names %q, and no prompt has variants under that name", side, v.Text))
	}
	return !c.list.Failed()
}
