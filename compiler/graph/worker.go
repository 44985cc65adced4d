package graph

import (
	"fmt"
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// Worker is what is known of an endpoint's worker. The zero value knows nothing, and nothing is found: a
// job is only kept from an endpoint for a reason that is certain.
type Worker struct {
	Endpoint string            // its name in the endpoints file, for messages
	Profile  nodes.Profile     // of its image
	Models   []string          // the endpoint's own list of model files, of all kinds; it replaces the image's if it is not nil
	Aliases  map[string]string // name in the graph → name on the endpoint
	// Classes is a snapshot of the endpoint, nil if there is none: classes that it lacks, and names that its lists lack, cannot run there.
	Classes *nodes.Catalogue
}

// CheckWorker tells why a graph cannot run on a worker, as errors: classes and models that are known to be missing, and that no output would come
// back. Outputs that are lost while others come back are warnings. Findings are in the graph's execution order.
func CheckWorker(g *Graph, w Worker) []diag.Diagnostic {
	var out []diag.Diagnostic
	for _, i := range g.Order {
		n := &g.Nodes[i]
		if w.Classes != nil && !w.Classes.Has(n.Class) {
			out = append(out, diag.Errorf("missing_node_type", n.classPlace(), "endpoint %s has no class %s", w.Endpoint, n.Class).About(n.ID, ""))
			continue
		}
		for j := range n.Inputs {
			if d, lacks := w.model(n, &n.Inputs[j]); lacks {
				out = append(out, d)
			}
		}
	}
	return append(out, w.dropped(g)...)
}

// model tells whether an input names a model that the worker is known to lack. Only inputs that
// [nodes.ModelKind] knows as model files are looked at.
func (w *Worker) model(n *Node, in *Input) (diag.Diagnostic, bool) {
	kind := nodes.ModelKind(n.Class, in.Name)
	if in.Linked() || in.Value.Kind != source.String || in.Def == nil || in.Def.Type != nodes.TypeCombo || kind == "" {
		return diag.Diagnostic{}, false
	}
	name := in.Value.Text
	if alias, ok := w.Aliases[name]; ok {
		name = alias
	}
	have, known := w.has(n.Class, in.Name, kind, name)
	if !known || slices.Contains(have, name) {
		return diag.Diagnostic{}, false
	}
	d := diag.Errorf("missing_model", diag.Of(in.Value), "endpoint %s lacks the model of %s: %s", w.Endpoint, n.of(in.Name), show(in.Value)).About(n.ID, in.Name)
	if hint := diag.Suggest(name, have); hint != "" {
		return d.Hinted(hint), true
	}
	if len(have) > 0 && len(have) <= maxListed {
		return d.Hinted("it has " + strings.Join(have, ", ")), true
	}
	return d, true
}

// has lists the models of a kind that the worker has, as far as they are known: by its snapshot, its own
// list, or its image. known false means that nothing can be said of the name, which then passes.
func (w *Worker) has(class, input, kind, name string) (have []string, known bool) {
	if w.Classes != nil {
		if c, ok := w.Classes.Class(class); ok {
			if in := c.Input(input); in != nil && in.Type == nodes.TypeCombo && !in.Open {
				return in.OptionNames(), true
			}
		}
	}
	if w.Models != nil {
		return w.Models, true
	}
	return w.Profile.Models[kind], w.Profile.Lacks(kind, name)
}

// pictureSavers are the classes whose files workers of the worker-comfyui kind give back.
var pictureSavers = []string{"SaveImage", "SaveImageAdvanced", "SaveAnimatedPNG", "SaveAnimatedWEBP"}

// dropped finds outputs that the worker does not give back.
func (w *Worker) dropped(g *Graph) []diag.Diagnostic {
	if !w.Profile.ImagesOnly {
		return nil
	}
	var out []diag.Diagnostic
	for _, i := range g.Outputs {
		n := &g.Nodes[i]
		if c := n.Class; slices.Contains(pictureSavers, c) || !previews(c) && n.savesPictures() {
			continue
		}
		out = append(out, diag.Warnf("dropped_output", n.classPlace(), "endpoint %s gives saved pictures back, but not the output of %s", w.Endpoint, n.called()).
			About(n.ID, "").Hinted(n.instead()))
	}
	if len(out) == len(g.Outputs) && len(out) > 0 {
		for k := range out {
			out[k].Severity = diag.Error
			out[k].Message += ", and nothing else comes back"
		}
	}
	return out
}

// savesPictures takes saving classes of custom nodes for what they are called: nobody can list them all,
// and most that save images write files as SaveImage does.
func (n *Node) savesPictures() bool {
	return strings.HasPrefix(n.Def.Module, "custom_nodes") && strings.Contains(strings.ToLower(n.Class), "save") && n.Def.Input("images") != nil
}

// instead names what would bring the result back.
func (n *Node) instead() string {
	for i := range n.Inputs {
		if in := &n.Inputs[i]; in.Linked() && in.Def != nil && in.Def.Type == "IMAGE" {
			return fmt.Sprintf("replace %s by SaveImage", n.Class)
		}
	}
	return "choose an endpoint with another worker"
}
