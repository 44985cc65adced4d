package graph

import (
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// nodeLints look at one node that an output needs and that has no error: with one, the user has something
// better to do. graphLints look at the whole. Of all of them only lintUnreachable looks at what others
// found, so that only it must stand behind them.
var nodeLints = []func(*linter, *Node){
	lintLiteral,    // literal_on_link
	lintUndeclared, // undeclared_input
	lintChoice,     // unknown_choice
	lintFinite,     // not_finite
	lintStep,       // off_step
}

var graphLints = []func(*linter){
	lintPaths,       // path_outside_input, path_outside_output
	lintSecrets,     // secret_in_input
	lintUnreachable, // unreachable_node
	lintPartial,     // partial_success
	lintUnsaved,     // nothing_saved
	lintTwice,       // equal_nodes
}

// linter runs after the verdict and changes nothing but the list of findings. A lint is a file, a line in
// one of the lists, and an entry in the table of codes.
type linter struct {
	*builder
	masked *source.File // the prompt's file without its secrets, made when one is found
}

// lint warns of what a server accepts and what then fails, or does not what it seems to.
func (b *builder) lint() bool {
	if b.opt.NoLints {
		return true
	}
	l := &linter{builder: b}
	for i := range b.g.Nodes {
		if !b.visits[i].started || b.g.Nodes[i].Bad {
			continue
		}
		for _, lint := range nodeLints {
			lint(l, &b.g.Nodes[i])
		}
	}
	for _, lint := range graphLints {
		lint(l)
	}
	return true
}

// warn adds a warning about an input, or about the whole node if input is "".
func (l *linter) warn(code string, at diag.Place, n *Node, input, hint, format string, args ...any) {
	l.lints = append(l.lints, diag.Warnf(code, at, format, args...).About(n.ID, input).Hinted(hint))
}
