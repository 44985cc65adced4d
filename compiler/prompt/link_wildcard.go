package prompt

import (
	"slices"

	"github.com/comfyc/comfyc/compiler/diag"
)

// wildcard links __name__ as a choice of its values. The choice is made once for each method and shared, so
// a prompt that uses a list a hundred times holds it once.
func (l *linker) wildcard(p *part, s *scope, at site) *node {
	if len(p.params) > 0 {
		return l.text(withParams(p, *p), s, at)
	}
	found := l.find(p, s, at)
	if have := found.single[p.method]; have != nil {
		return have
	}
	out := l.finish(node{kind: choice, method: p.method, min: 1, max: 1, kids: found.options, weights: found.weights}, p, at)
	if found.single != nil {
		found.single[p.method] = out
	}
	return out
}

// nothing stands for a wildcard that cannot be used. It is shared and never written to: its nil map is why
// wildcard asks before it stores.
var nothing = &linked{}

// find links the values of a wildcard; it gives nothing after a finding.
func (l *linker) find(p *part, s *scope, at site) *linked {
	names := l.fitting(p, at)
	switch {
	case len(names) == 0:
		return nothing
	case slices.Contains(l.stack, p.text):
		l.report(at, p, diag.Errorf("wildcard_cycle", diag.Place{}, "a wildcard leads back to itself: %s", pathOf(l.stack, p.text)))
		return nothing
	case len(l.stack) >= maxNesting:
		l.report(at, p, diag.Errorf("prompt_too_large", diag.Place{}, "wildcards lead into each other more than %d times", maxNesting))
		return nothing
	}
	out := l.known(p.text, s)
	if out == nil {
		out = l.values(p, names, s, at)
	}
	// What was found within the values is said at each use; the list of findings drops repeats.
	for _, d := range out.list {
		report(&l.list, func() diag.Place { return d.Place }, d)
	}
	for _, a := range out.names {
		l.assigned(a)
	}
	if len(out.options) == 0 && len(out.list) == 0 {
		l.report(at, p, diag.Errorf("wildcard_empty", diag.Place{}, "the wildcard %q has no values", p.text).Noted(l.lib.lists[names[0]].at, "it is empty here"))
	}
	return out
}

// fitting lists the names that a pattern fits.
func (l *linker) fitting(p *part, at site) []string {
	names, known := l.globs[p.text]
	if known {
		return names
	}
	if len(l.globs) > maxNames {
		l.report(at, p, diag.Errorf("prompt_too_large", diag.Place{}, "more than %d different wildcards are used", maxNames))
		return nil
	}
	if names = l.lib.find(p.text); len(names) == 0 {
		l.report(at, p, l.lib.unknown(p.text, diag.Place{}))
	}
	if l.globs == nil {
		l.globs = map[string][]string{}
	}
	l.globs[p.text] = names
	return names
}

// known gives a wildcard that was linked before: in any prompt if it uses no names from outside, else in
// this one and this scope.
func (l *linker) known(pattern string, s *scope) *linked {
	if out := l.lib.closed[pattern]; out != nil {
		return out
	}
	return l.cache[useOf{pattern, s}]
}

// values links all values of a wildcard, and keeps them. Findings and names of the values go into what is
// made, not to the prompt, so the state of the linker is put aside and back again.
func (l *linker) values(p *part, names []string, s *scope, at site) *linked {
	list, into, out := l.list, l.into, &linked{single: map[method]*node{}}
	l.list, l.into = diag.List{}, out
	l.stack, l.open = append(l.stack, p.text), append(l.open, false)
	inner := &scope{edge: true, outer: s}
	if s != nil {
		inner.depth = s.depth
	}
	for _, name := range names {
		for _, e := range l.lib.lists[name].values {
			if l.full || len(out.options) > maxOptions {
				break
			}
			l.entry(out, e, inner)
		}
	}
	if len(out.options) > maxOptions {
		l.report(at, p, diag.Errorf("prompt_too_large", diag.Place{}, "the wildcard %q has more than %d values", p.text, maxOptions))
		out.options, out.weights = nil, nil
	}
	failed, open := l.list.Failed(), l.open[len(l.open)-1]
	out.list = l.list.Sorted()
	l.stack, l.open = l.stack[:len(l.stack)-1], l.open[:len(l.open)-1]
	l.list, l.into = list, into
	l.keep(useOf{p.text, s}, out, open, failed || l.full)
	return out
}

// keep remembers a wildcard: for good if it does not depend on where it is used. One with an error is not
// kept: it may be a cycle, which depends on the way that led here.
func (l *linker) keep(key useOf, out *linked, open, failed bool) {
	switch {
	case failed:
	case open:
		if l.cache == nil {
			l.cache = map[useOf]*linked{}
		}
		l.cache[key] = out
	default:
		l.lib.closed[key.pattern] = out
	}
}

// entry links one value; its text is parsed once for the life of the library. Reserved names are not known
// then, so assigned looks at them.
func (l *linker) entry(out *linked, e *entry, s *scope) {
	if !e.read {
		var list diag.List
		e.text, e.read = parse(e.value, nil, &list), true
		e.findings = list.Sorted()
	}
	for _, d := range e.findings {
		report(&l.list, func() diag.Place { return d.Place }, d)
	}
	out.options = append(out.options, l.text(e.text, s, site{e.value}))
	out.weights = append(out.weights, e.weight)
	l.assigns(e.text, site{e.value})
}

// assigns looks at the variables that a text assigns.
func (l *linker) assigns(t text, at site) {
	for i := range t {
		p := &t[i]
		if p.kind == assign {
			l.assigned(assigned{p.text, at, p})
		}
		for k := range p.options {
			l.assigns(p.options[k].text, at)
		}
		l.assigns(p.value, at)
		l.assigns(p.params, at)
	}
}

// assigned holds that a variable of a wildcard is not named as an axis, and remembers it for the next time that the wildcard is used.
func (l *linker) assigned(a assigned) {
	if slices.Contains(l.reserved, a.name) {
		l.report(a.at, a.part, diag.Errorf("prompt_variable", diag.Place{}, "the variable %q is named as an axis", a.name).Hinted("give the variable another name"))
	}
	if l.into != nil && !slices.ContainsFunc(l.into.names, func(b assigned) bool { return a.name == b.name }) && len(l.into.names) < maxNames {
		l.into.names = append(l.into.names, a)
	}
}
