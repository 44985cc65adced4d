package graph

import (
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
)

// lintPartial says that some outputs are bad while others are good: a server answers 200 then, with
// node_errors beside the id, and most clients overlook the rest. The outputs that were not asked for
// (Options.Targets) do not count.
func lintPartial(l *linter) {
	if len(l.g.Outputs) == 0 || len(l.g.Outputs) == len(l.roots) {
		return
	}
	var bad []int
	for _, i := range l.roots {
		if !l.visits[i].valid {
			bad = append(bad, i)
		}
	}
	n := &l.g.Nodes[bad[0]]
	d := diag.Warnf("partial_success", n.Key, "%d of %d outputs would be left out silently, %s first", len(bad), len(l.roots), n.called()).About(n.ID, "")
	for _, i := range bad[1:min(len(bad), maxNotes)] {
		d = d.Noted(l.g.Nodes[i].Key, "%s too", l.g.Nodes[i].called())
	}
	l.lints = append(l.lints, d)
}

// previews tells whether an output node only shows its result, in a file that the server deletes. It goes
// by the name, which custom nodes keep to as well.
func previews(class string) bool {
	return strings.Contains(class, "Preview") || class == "ImageCompare"
}

// lintUnsaved says that all that would run is only previewed.
func lintUnsaved(l *linter) {
	if len(l.g.Outputs) == 0 || slices.ContainsFunc(l.g.Outputs, func(i int) bool { return !previews(l.g.Nodes[i].Class) }) {
		return
	}
	n := &l.g.Nodes[l.g.Outputs[0]]
	l.warn("nothing_saved", n.classPlace(), n, "", "use SaveImage, or another node that saves", "%s only previews, and no other output saves anything", n.called())
}
