// What is told besides the prompt. The prompt is exactly the frontend's, mistakes included; these are the places where the frontend says nothing
// although the user hardly meant what comes out. What ends the conversion is an error (see refuse), everything here is a warning or a hint.

package lower

import (
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// lost warns of a connection that the frontend drops on load.
func (g *graph) lost(k *link, n *node, why string) {
	g.l.warn("dropped_link", linkPlace(n, k), k.to, "", "the link from node %s to node %s is dropped: %s", k.from, k.to, why)
}

// unknown says what is missing of a node whose class is not known: the pack that has it, and the models that the file names.
func (l *lowering) unknown(f *flatNode) {
	d := diag.Warnf("unknown_class", diag.Of(classValue(f.node)), "no class %q is known; the node is emitted without class_type, and a server refuses such a prompt", f.class).
		About(f.flatID, "")
	// The registry's name of the pack, which the editor writes into each node that comes from one.
	if pack := f.doc.props.Get("cnr_id").Str(); pack != "" {
		d = d.Hinted("it is part of the pack " + pack)
	}
	// Templates list the models that they need, each with the address from which the editor would fetch it.
	for _, m := range items(f.doc.props.Get("models")) {
		if url := m.Get("url"); url.Str() != "" {
			d = d.Noted(diag.Of(url), "it needs the model %s from %s", textOf(m.Get("name")), url.Text)
		}
	}
	l.found.Add(d)
}

// needsBrowser warns of values that the frontend makes while it sends the prompt.
func (l *lowering) needsBrowser(f *flatNode) {
	// These make something in the browser at the moment of sending: there is no such moment here.
	switch f.class {
	case "Load3D", "Load3DAnimation":
		l.warn("browser_only", f.place(), f.flatID, "image", "the frontend renders the scene of %s and uploads the picture when it sends the prompt; that is not done here", f.class)
	case "WebcamCapture":
		l.warn("browser_only", f.place(), f.flatID, "image", "the frontend takes the picture of WebcamCapture when it sends the prompt; that is not done here")
	case "RecordAudio":
		l.warn("browser_only", f.place(), f.flatID, "audio", "the frontend uploads what RecordAudio has recorded when it sends the prompt; that is not done here")
	}
}

func classValue(n *node) *source.Value {
	if t := n.doc.src.Get("type"); t != nil {
		return t
	}
	return n.src
}

// unresolved warns of an input that is connected, but to nothing that gives a value, where that is hardly meant.
func (l *lowering) unresolved(f *flatNode, slot int) {
	in, k := f.inputs[slot], f.linkInto(slot)
	if k == nil {
		return
	}
	// Whether a value comes from outside is seen at the instance, one level up.
	if f.host != nil && k.from == inputSide {
		l.unresolvedOutside(f, in, k)
		return
	}
	from := f.graph.node(k.from)
	if from == nil {
		return
	}
	if from.kind == primitiveNode {
		if f.widgetOf(in) == nil {
			l.warn("primitive_lost", inputPlace(f.node, in), f.flatID, in.name, "primitive node %s writes into widgets only, and input %q has none", from.id, in.name)
		}
		return
	}
	// A primitive node writes only over its own links, and a reroute has no widget to write into.
	if far := l.primitiveBehind(from); far != nil {
		l.warn("primitive_lost", inputPlace(f.node, in), f.flatID, in.name,
			"the value of primitive node %s does not arrive here, as it comes through a reroute; the node's own value is sent", far.id)
	}
	if from.mode == modeBypassed && k.fromSlot < len(from.outputs) && from.bypassInput(k.fromSlot, in.typ) < 0 {
		d := diag.Warnf("bypass_without_match", inputPlace(f.node, in), "bypassed node %s has no input of type %s to pass on to input %q", from.id, in.typ, in.name)
		if in.spec != nil && in.spec.optional {
			d.Severity = diag.Info // the node does without it
		}
		l.found.Add(d.About(f.flatID, in.name))
	}
}

// unresolvedOutside warns of an inner input whose value was to come from outside of the subgraph.
func (l *lowering) unresolvedOutside(f *flatNode, in *input, k *link) {
	host := f.host
	outer := host.linkInto(k.fromSlot)
	if outer == nil || host.inputs[k.fromSlot].value == nil || f.widgetOf(in) == nil {
		return
	}
	name := host.inputs[k.fromSlot].name
	if from := host.graph.node(outer.from); from != nil && (from.kind == primitiveNode || l.primitiveBehind(from) != nil) {
		l.warn("primitive_lost", inputPlace(host.node, host.inputs[k.fromSlot]), host.flatID, name,
			"the value of a primitive node does not go into a subgraph; the value inside of it is sent for %q", name)
		return
	}
	l.warn("link_without_value", inputPlace(host.node, host.inputs[k.fromSlot]), host.flatID, name,
		"input %q of the subgraph instance is connected, but gets no value; the value inside of the subgraph is sent", name)
}

// primitiveBehind finds the primitive node at the far end of a chain of reroutes.
func (l *lowering) primitiveBehind(n *node) *node {
	// The bound is for circles of reroutes.
	for steps := 0; n != nil && n.kind == rerouteNode && steps < 1000; steps++ {
		k := n.linkInto(0)
		if k == nil {
			return nil
		}
		if n = n.graph.node(k.from); n != nil && n.kind == primitiveNode {
			return n
		}
	}
	return nil
}
