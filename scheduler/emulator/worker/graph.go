package worker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// A prompt is read with a streaming decoder instead of into a map, for two
// things that a map loses: the order of nodes, which results and errors follow,
// and the digits of numbers (a seed of 64 bits does not fit into a float64).

const (
	maxPrompt = 16 << 20 // bytes
	maxNodes  = 10_000   // of one prompt
	maxInputs = 1_000    // per node
)

// graph is a decoded prompt. The nodes keep the order of the file.
type graph struct {
	ids   []string         // in the order of the file; an id that is there twice stands at its first place
	nodes map[string]*node // by id; of an id that is there twice the last one counts
}

// node is one entry of the prompt.
type node struct {
	id, class string
	inputs    []input
}

// input is one value of a node: a link or a constant.
type input struct {
	name string
	link *link // nil for a constant
	// constant is a string, json.Number, bool, nil, []any or map[string]any.
	constant any
}

// link names an output of another node.
type link struct {
	node string
	slot int // from 0; not checked against the class
}

// decodeGraph reads a prompt: an object of id -> {class_type, inputs}.
// Other keys of a node (such as _meta) are passed over.
func decodeGraph(prompt []byte) (*graph, error) {
	if len(prompt) > maxPrompt {
		return nil, fmt.Errorf("the prompt has %d bytes; at most %d are possible", len(prompt), maxPrompt)
	}
	d := json.NewDecoder(bytes.NewReader(prompt))
	d.UseNumber()
	g := &graph{nodes: map[string]*node{}}
	if err := eachKey(d, g.readNode(d)); err != nil {
		return nil, fmt.Errorf("read the prompt: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("read the prompt: there is more after its end")
	}
	return g, nil
}

// eachKey calls f for every key of the object that d stands before; f reads the value.
func eachKey(d *json.Decoder, f func(key string) error) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
		return fmt.Errorf("an object is expected, not %v", t)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		if err := f(key.(string)); err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
	}
	_, err = d.Token()
	return err
}

// readNode reads the nodes one after another into g.
func (g *graph) readNode(d *json.Decoder) func(string) error {
	return func(id string) error {
		n := &node{id: id}
		err := eachKey(d, func(key string) error {
			switch key {
			case "class_type":
				return d.Decode(&n.class)
			case "inputs":
				n.inputs = nil
				return eachKey(d, n.readInput(d))
			}
			var skipped any
			return d.Decode(&skipped)
		})
		if err != nil {
			return err
		}
		if _, twice := g.nodes[id]; !twice {
			g.ids = append(g.ids, id)
		}
		g.nodes[id] = n
		if len(g.ids) > maxNodes {
			return fmt.Errorf("more than %d nodes", maxNodes)
		}
		return nil
	}
}

// readInput reads the inputs one after another into n.
func (n *node) readInput(d *json.Decoder) func(string) error {
	return func(name string) error {
		var v any
		if err := d.Decode(&v); err != nil {
			return err
		}
		if len(n.inputs) >= maxInputs {
			return fmt.Errorf("more than %d inputs", maxInputs)
		}
		in := input{name: name, link: asLink(v)}
		if in.link == nil {
			in.constant = unwrap(v)
		}
		n.inputs = append(n.inputs, in)
		return nil
	}
}

// asLink reads ["id", slot]; anything else is no link.
func asLink(v any) *link {
	l, ok := v.([]any)
	if !ok || len(l) != 2 {
		return nil
	}
	id, isText := l[0].(string)
	number, isNumber := l[1].(json.Number)
	if !isText || !isNumber {
		return nil
	}
	// A slot of 0.0 or "0" is no link here, and ends as a constant of the wrong
	// type.
	slot, err := strconv.Atoi(number.String())
	if err != nil {
		return nil
	}
	return &link{id, slot}
}

// unwrap takes the list out of {"__value__": […]}, the form in which an array
// is told from a link.
func unwrap(v any) any {
	if m, ok := v.(map[string]any); ok && len(m) == 1 {
		if inner, ok := m["__value__"]; ok {
			return inner
		}
	}
	return v
}
