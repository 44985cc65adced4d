// Addresses of subgraphs. The prompt has no subgraphs any more: their nodes have the ids "57:27", and a
// promoted value of the instance 57 has gone to inner inputs, one or several. A batch names the things
// that its author sees in the editor, so both are translated here.

package compiler

import (
	"fmt"
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/lower"
)

// targets finds the inputs that an address means: one, or, where it is the promoted value of a subgraph
// instance, all that the value goes to. Nodes of the prompt come first, then the file's own ids of inner
// nodes, then instances.
func (c *compilation) targets(text string) ([]target, *addressError) {
	t, err := resolveAddress(c.graph, text)
	if err == nil {
		return []target{t}, nil
	}
	if renamed := c.renamedAddress(text); renamed != "" {
		return c.targets(renamed)
	}
	promoted, wrong := c.promotedTargets(text)
	if promoted != nil || wrong != nil {
		return promoted, wrong
	}
	if strings.HasPrefix(err.message, "no node is called") {
		err.candidates = append(err.candidates, notes(c.instanceIDs(), c.instanceNote)...)
	}
	return nil, err
}

// instanceIDs lists the subgraph instances that have promoted values.
func (c *compilation) instanceIDs() (ids []string) {
	for _, p := range c.promoted {
		if !slices.Contains(ids, p.Instance) {
			ids = append(ids, p.Instance)
		}
	}
	return ids
}

// renamedAddress writes an address inside of a subgraph, whose ids are those of the file, with the ids
// that the prompt has for them; "" if none is new. Ids change when two definitions use the same ones: the
// editor renumbers those of the later on loading.
func (c *compilation) renamedAddress(text string) string {
	ways, _ := splits(text)
	for _, way := range ways {
		if id := c.renamed[strings.ReplaceAll(way.node, "/", ":")]; id != "" && !way.title && way.input != "" && !strings.ContainsAny(id, `"`) {
			return `"` + id + `".` + way.input
		}
	}
	return ""
}

// promotedTargets finds the promoted value that an address names: "57.text", "57:58.text", "@Title.text". Both results are nil if it
// names no subgraph instance.
func (c *compilation) promotedTargets(text string) ([]target, *addressError) {
	ways, _ := splits(text)
	for _, way := range ways {
		if way.node == "" || way.input == "" {
			continue
		}
		instances := c.instances(way)
		switch len(instances) {
		case 0:
			continue
		case 1:
			return c.promotedInput(instances[0], way.input)
		}
		e := &addressError{message: fmt.Sprintf("%q fits %d subgraphs", text, len(instances)), hint: "use the id of the one that is meant"}
		e.candidates = notes(instances, c.instanceNote)
		return nil, e
	}
	return nil, nil
}

// instances lists the ids of the subgraph instances that a node part names: the one with that id or path, else all with that title or name of a definition.
func (c *compilation) instances(way split) (ids []string) {
	path := strings.ReplaceAll(way.node, "/", ":")
	for _, p := range c.promoted {
		if !way.title && p.Instance == path {
			return []string{path}
		}
		if (p.Title == way.node || !way.title && p.Name == way.node) && !slices.Contains(ids, p.Instance) {
			ids = append(ids, p.Instance)
		}
	}
	return ids
}

// promotedInput finds where the promoted value of an instance goes; targets that the conversion left out
// are passed over.
func (c *compilation) promotedInput(instance, input string) (out []target, _ *addressError) {
	for _, name := range []string{input, strings.TrimPrefix(input, "inputs.")} {
		for _, p := range c.promoted {
			if p.Instance != instance || p.Input != name {
				continue
			}
			for _, t := range p.Targets {
				if node := c.graph.Find(t.Node); node >= 0 {
					out = append(out, target{node, t.Input})
				}
			}
		}
		if out != nil {
			return out, nil
		}
	}
	note := c.instanceNote(instance)
	return nil, &addressError{message: fmt.Sprintf("subgraph %s has no promoted value %q", instance, input), hint: diag.Suggest(input, c.promotedNames(instance)), candidates: []diag.Note{note}}
}

// promotedNames lists the promoted values of an instance.
func (c *compilation) promotedNames(instance string) (names []string) {
	for _, p := range c.promoted {
		if p.Instance == instance && !slices.Contains(names, p.Input) {
			names = append(names, p.Input)
		}
	}
	return names
}

// instanceNote says what an instance has; it is one of those in promoted.
func (c *compilation) instanceNote(instance string) diag.Note {
	p := &c.promoted[slices.IndexFunc(c.promoted, func(p lower.Promoted) bool { return p.Instance == instance })]
	title := p.Title
	if title == "" {
		title = p.Name
	}
	return diag.Note{Place: p.Place, Message: fmt.Sprintf("subgraph %s (%q): %s", instance, title, joined(c.promotedNames(instance)))}
}
