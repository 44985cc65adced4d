package graph

import (
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// resolve finds the classes and the outputs. An unknown class fails the whole prompt, even on a node that
// no output needs, and leaves it without a verdict on any other node.
func (b *builder) resolve() bool {
	var t troubles
	for i := range b.g.Nodes {
		t.add(b.resolveNode(&b.g.Nodes[i]))
	}
	if !b.stopped(t) {
		return false
	}
	for i := range b.g.Nodes {
		if b.g.Nodes[i].Def.OutputNode && b.wanted(b.g.Nodes[i].ID) {
			b.roots = append(b.roots, i)
		}
	}
	if len(b.roots) == 0 {
		return b.noOutputs()
	}
	return true
}

// resolveNode gives a node its definition, or says what is wrong with its class.
func (b *builder) resolveNode(n *Node) (diag.Diagnostic, bool) {
	v := n.Value
	if v.Kind != source.Object {
		return n.malformed(diag.Of(v), "node %s is no object but %s", n.ID, v.Kind), true
	}
	class := v.Get("class_type")
	if class != nil && (class.Kind == source.Array || class.Kind == source.Object) {
		return n.malformed(diag.Of(class), "class_type of node %s is no name but %s", n.ID, class.Kind), true
	}
	if class != nil && class.Kind == source.String {
		if def, ok := b.cat.Class(n.Class); ok {
			n.Def = def
			return diag.Diagnostic{}, false
		}
	}
	n.Bad = true
	if meta := v.Get("_meta"); meta != nil && meta.Kind != source.Object {
		return n.malformed(diag.Of(meta), "_meta of node %s is no object but %s", n.ID, meta.Kind), true
	}
	return b.unknownClass(n, class), true
}

// unknownClass says which class is missing, and what is known about where to get it: the pack that the file
// names, else a class of nearly the same name, else how to tell comfyc of more classes.
func (b *builder) unknownClass(n *Node, class *source.Value) diag.Diagnostic {
	title := ""
	if n.Title != "" && n.Title != n.Class {
		title = " (" + quote(n.Title) + ")"
	}
	known := ""
	if b.opt.Absent != nil {
		known = b.opt.Absent(n.ID)
	}
	if class == nil {
		if known == "" {
			known = "the pack that has this node was missing when the workflow was exported"
		}
		return diag.Errorf("missing_node_type", n.Key, "node %s%s has no class_type", n.ID, title).About(n.ID, "").Hinted(known)
	}
	d := diag.Errorf("missing_node_type", diag.Of(class), "node %s%s has an unknown class: %s", n.ID, title, show(class)).About(n.ID, "")
	if known != "" {
		return d.Hinted(known)
	}
	if hint := b.suggest(n.Class, b.cat.Names()); hint != "" {
		return d.Hinted(hint)
	}
	if b.cat.Literal() {
		return d.Hinted("the server of this snapshot lacks the pack that has it")
	}
	return d.Hinted("for custom nodes, give --nodes a snapshot of your server's /object_info")
}

// wanted tells whether an output node was asked for.
func (b *builder) wanted(id string) bool {
	if b.opt.Targets == nil {
		return true
	}
	for _, t := range b.opt.Targets {
		if t == id {
			return true
		}
	}
	return false
}

// noOutputs ends the build because nothing would run.
func (b *builder) noOutputs() bool {
	at := diag.Of(b.prompt)
	at.End = at.Start + 1 // a caret under the opening brace; the whole prompt would be underlined otherwise
	d := diag.Errorf("prompt_no_outputs", at, "the prompt has no node that gives an output")
	switch {
	case b.opt.Targets != nil:
		d.Message = "no output node is among the targets: " + strings.Join(b.opt.Targets, ", ")
		if len(b.opt.Targets) == 0 {
			d.Message = "the list of targets is empty, so nothing would run"
		}
	case len(b.g.Nodes) == 0:
		d.Message = "the prompt is empty"
	default:
		d.Hint = "add a SaveImage, or another node that saves or previews"
	}
	b.whole = append(b.whole, d)
	return false
}
