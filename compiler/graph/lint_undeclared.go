package graph

import (
	"slices"
	"strings"

	"github.com/comfyc/comfyc/nodes"
)

// decorations are inputs that the browser adds for itself: buttons and players that its exporter does not
// leave out.
var decorations = []string{"upload", "audioUI", "compare_view", "clear", "upload 3d model", "upload extra resources", "choose file to upload",
	"choose audio to upload", "choose video to upload"}

// viewers are classes to which the browser adds an input "image" for its own view.
var viewers = []string{"SaveGLB", "Preview3D", "Preview3DAnimation", "Load3D", "Load3DAnimation"}

// maxUndeclared bounds the findings of one node.
const maxUndeclared = 20

// lintUndeclared finds inputs that the class does not have: a server passes over them, so a wrong name goes
// unnoticed. The nearest input that the node takes and is not given is suggested: for sampler it is
// sampler_name.
func lintUndeclared(l *linter, n *Node) {
	strays := n.strays()
	if len(strays) == 0 || n.Class == "CustomCombo" { // which takes whatever the browser sends
		return
	}
	var open []choiceless
	if n.Def.Dynamic() {
		open = n.openChoices()
	}
	free := n.notGiven(l.live(n))
	said := 0
	for _, in := range strays {
		if decorates(n.Class, in.Name) || belongs(in.Name, open) {
			continue
		}
		if said++; said > maxUndeclared {
			break
		}
		l.warn("undeclared_input", in.Key, n, in.Name, l.suggest(in.Name, free), "%s does not exist and is ignored", n.of(in.Name))
	}
}

// strays lists the given inputs that the class does not declare. One that is declared but hangs on another
// choice of a dynamic combo is no stray.
func (n *Node) strays() []*Input {
	var out []*Input
	for i := range n.Inputs {
		if in := &n.Inputs[i]; in.Def == nil && n.Def.Input(in.Name) == nil {
			out = append(out, in)
		}
	}
	return out
}

// belongs tells whether a name stands under a dynamic combo without a good key, of which another lint speaks.
func belongs(name string, open []choiceless) bool {
	return slices.ContainsFunc(open, func(c choiceless) bool { return strings.HasPrefix(name, c.name+".") })
}

func decorates(class, input string) bool {
	return slices.Contains(decorations, input) || input == "image" && slices.Contains(viewers, class)
}

// live gives the inputs that a node takes.
func (l *linter) live(n *Node) []nodes.Live { return l.visits[l.g.Find(n.ID)].live }

// notGiven lists the inputs that a node takes and that it is not given.
func (n *Node) notGiven(live []nodes.Live) []string {
	var out []string
	given := n.index()
	for i := range live {
		if _, ok := given.at(live[i].Name); !ok {
			out = append(out, live[i].Name)
		}
	}
	return out
}
