package prompt

import (
	"math/big"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// Options are what a prompt needs of the batch around it. The zero value reserves no names.
type Options struct {
	// Reserved are the names of the axes, which no variable may have. A ${axis} in the text is text: the values were put in before.
	Reserved []string
	// Seed is that of choices with ~ in mode all.
	Seed uint64
}

// Template is a prompt that was read. It is never changed, and its methods may be called from many goroutines.
type Template struct {
	root  *node
	plain bool // the text as it stands: no comment, escape or layout was taken out either
	seed  uint64
}

// Parse reads a string. lib may be nil, which is a library without wildcards. The Template is nil if there is an error among the findings, which are
// sorted and have their places within the string where its file holds it as it is read.
func Parse(v *source.Value, lib *Library, opt Options) (*Template, []diag.Diagnostic) {
	if lib != nil {
		lib.mu.Lock()
		defer lib.mu.Unlock()
	}
	// A prompt is read in three steps: its length, its notation, its names. After an error in one, the next
	// would only report what follows from it.
	l := &linker{lib: lib, reserved: opt.Reserved}
	if len(v.Text) > maxOutput {
		l.list.Add(diag.Errorf("prompt_too_large", diag.Of(v), "a prompt has at most %d bytes, not %d", maxOutput, len(v.Text)))
		return nil, l.list.Sorted()
	}
	t := parse(v, opt.Reserved, &l.list)
	if l.list.Failed() {
		return nil, l.list.Sorted()
	}
	root := l.text(t, nil, site{v})
	l.bounded(root, v)
	if l.list.Failed() {
		return nil, l.list.Sorted()
	}
	return &Template{root, root.kind == literal && root.text == v.Text, opt.Seed}, l.list.Sorted()
}

// bounded holds that every result can be made.
func (l *linker) bounded(root *node, v *source.Value) {
	switch {
	case l.full:
		l.list.Add(diag.Errorf("prompt_too_large", diag.Of(v), "the prompt and its wildcards have more than %d parts", maxParts))
	case root.size > maxOutput:
		l.list.Add(diag.Errorf("prompt_too_large", diag.Of(v), "a result could have more than %d bytes", maxOutput))
	case root.steps > maxSteps:
		l.list.Add(diag.Errorf("prompt_too_large", diag.Of(v), "a result could be put together from more than %d parts", maxSteps))
	}
}

// Plain tells that there is nothing dynamic: every result is the text itself.
func (t *Template) Plain() bool { return t.plain }

// Count is the number of results in mode all, at least 1.
func (t *Template) Count() *big.Int { return counter{}.count(t.root) }

// All gives the i-th result of mode all, in the order that the package's documentation describes. i counts
// from 0; behind the last result it begins again. Where Count is beyond 64 bits, i reaches only the first
// 2^64 of the results. Time is that of the result's parts.
func (t *Template) All(i uint64) string {
	c := cursor{method: all, index: i, seed: mix(t.seed, i), step: i}
	if t.root.n != many {
		c.index %= t.root.n
	}
	return t.at(c)
}

// Random gives the n-th draw from 0 on. It depends on the template, the seed and n alone, so drawing more
// keeps the earlier ones. Draws may repeat.
func (t *Template) Random(seed uint64, n int) string {
	return t.at(t.walk(random, mix(seed, uint64(n)), n))
}

// Cycle gives the n-th result from 0 on of walking all choices in step.
func (t *Template) Cycle(n int) string { return t.at(t.walk(cycle, mix(t.seed, uint64(n)), n)) }

// walk is a cursor of a mode that walks only through choices with !.
func (t *Template) walk(m method, seed uint64, n int) cursor {
	c := cursor{method: m, index: uint64(n), seed: seed, step: uint64(n)}
	if t.root.walked != many {
		c.index %= t.root.walked
	}
	return c
}

func (t *Template) at(c cursor) string {
	if t.root.kind == literal {
		return t.root.text
	}
	var e evaluation
	e.node(t.root, c)
	return string(e.out)
}
