package graph

import (
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// lintPaths finds paths that leave the folders in which a server loads and saves. Nodes that no output
// needs are looked at too. It is a warning here, as the server's check lets such paths pass; a service
// refuses them.
func lintPaths(l *linter) {
	for i := range l.g.Nodes {
		n := &l.g.Nodes[i]
		for j := range n.Inputs {
			in := &n.Inputs[j]
			file := in.Name == FileInput(n.Class)
			if in.Value.Kind != source.String || !file && in.Name != "filename_prefix" || !leavesFolder(in.Value) {
				continue
			}
			switch {
			case file:
				l.warn("path_outside_input", diag.Of(in.Value), n, in.Name, "name a file below the input folder",
					"%s names a path outside of the input folder: %s", n.of(in.Name), show(in.Value))
			default:
				l.warn("path_outside_output", diag.Of(in.Value), n, in.Name, "start with a name or a folder below the output folder",
					"%s leaves the output folder, where a server refuses to save: %s", n.of(in.Name), show(in.Value))
			}
		}
	}
}
