package emulator

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// promptLimits bound a prompt; ComfyUI's own largest have some hundreds of nodes.
var promptLimits = source.Limits{Depth: 64, Values: 1_000_000}

// fingerprint gives two hashes of a prompt: of all that makes its files, and of all that makes its pictures (save prefixes and titles left
// out). What an input file holds counts as well as its name.
func fingerprint(prompt *source.Value, inputs map[string]*content) (files, pictures string) {
	h1, h2 := sha256.New(), sha256.New()
	for _, node := range sorted(prompt) {
		head := append(source.AppendQuoted(nil, node.Key), node.Value.Get("class_type").Str()...)
		h1.Write(head)
		h2.Write(head)
		for _, in := range sorted(node.Value.Get("inputs")) {
			text := in.Value.AppendJSON(source.AppendQuoted(nil, in.Key))
			// Two jobs may upload different files under one name.
			if c := inputs[in.Value.Str()]; c != nil {
				text = append(text, c.sum[:]...)
			}
			h1.Write(text)
			// The same picture under another name costs the same: a test that counts double payments must see them as one.
			if in.Key != "filename_prefix" {
				h2.Write(text)
			}
		}
	}
	return hex.EncodeToString(h1.Sum(nil)), hex.EncodeToString(h2.Sum(nil))
}

// sorted gives the members of an object by key; the values inside keep the order in which they were written.
func sorted(v *source.Value) []source.Member {
	if v == nil {
		return nil
	}
	members := slices.Clone(v.Members)
	slices.SortStableFunc(members, func(a, b source.Member) int { return strings.Compare(a.Key, b.Key) })
	return members
}

// prefixes lists the filename_prefix of every saving node, in the prompt's order.
func prefixes(prompt *source.Value) (out []string) {
	for _, m := range prompt.Members {
		if p := m.Value.Get("inputs").Get("filename_prefix"); p != nil && p.Kind == source.String {
			out = append(out, p.Text)
		}
	}
	return out
}

// isOutput tells whether execution starts from a class: what the catalogue says, else what saves and what shows.
func isOutput(class string) bool {
	if known, ok := nodes.BuiltIn().Class(class); ok {
		return known.OutputNode
	}
	return strings.HasPrefix(class, "Save") || strings.HasPrefix(class, "Preview")
}
