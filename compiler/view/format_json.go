package view

import (
	"strconv"

	"github.com/comfyc/comfyc/compiler/source"
)

// JSON writes {"file", "valid", "nodes", "links", "order", "outputs"}. A node has id, class, title, known, output, needed, inputs (the literals,
// uncut) and findings as `comfyc check --json` prints them; a link has from, slot, to, input and type. Secrets are null.
func (v *View) JSON() []byte {
	nodes, links := source.NewArray(), source.NewArray()
	for i := range v.Nodes {
		nodes.Items = append(nodes.Items, v.Nodes[i].toValue())
	}
	for i := range v.Links {
		links.Items = append(links.Items, v.Links[i].toValue(v))
	}
	return source.NewObject(
		member("file", source.NewString(v.File)),
		member("valid", source.NewBool(v.Valid)),
		member("nodes", nodes),
		member("links", links),
		member("order", v.ids(v.Order)),
		member("outputs", v.ids(v.Outputs)),
	).Indent()
}

// toValue writes a node; its findings keep their places in the file.
func (n *Node) toValue() *source.Value {
	inputs, findings := source.NewObject(), source.NewArray()
	for _, l := range n.Literals {
		value := l.Value
		if l.Secret {
			value = source.NewNull()
		}
		inputs.Members = append(inputs.Members, member(l.Name, value))
	}
	for _, d := range n.Findings {
		findings.Items = append(findings.Items, d.ToValue())
	}
	return source.NewObject(
		member("id", source.NewString(n.ID)),
		member("class", source.NewString(n.Class)),
		member("title", source.NewString(n.Title)),
		member("known", source.NewBool(n.Known)),
		member("output", source.NewBool(n.Output)),
		member("needed", source.NewBool(n.Needed)),
		member("inputs", inputs),
		member("findings", findings),
	)
}

// toValue writes a link with the ids of its ends, as indexes mean nothing outside.
func (l *Link) toValue(v *View) *source.Value {
	return source.NewObject(
		member("from", source.NewString(v.Nodes[l.From].ID)),
		member("slot", source.NewNumber(strconv.Itoa(l.Slot))),
		member("to", source.NewString(v.Nodes[l.To].ID)),
		member("input", source.NewString(l.Input)),
		member("type", source.NewString(l.Type)),
	)
}

func (v *View) ids(nodes []int) *source.Value {
	out := source.NewArray()
	for _, i := range nodes {
		out.Items = append(out.Items, source.NewString(v.Nodes[i].ID))
	}
	return out
}

// member is a key with its value.
func member(key string, v *source.Value) source.Member { return source.Member{Key: key, Value: v} }
