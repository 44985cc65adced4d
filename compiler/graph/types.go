package graph

import (
	"strings"

	"github.com/comfyc/comfyc/nodes"
)

// fits tells whether an output may feed an input: equal types, an overlap of two comma lists, or one side
// that takes anything. An old-style list of options (the type itself is the list, from before COMBO was a
// type) takes only the same list, or a type that takes anything.
func fits(out *nodes.Output, in *nodes.Input) bool {
	switch {
	case out.OldList && in.OldList:
		return sameOptions(out, in)
	case out.OldList:
		return in.Type == nodes.TypeCombo || takesAll(in.Type)
	case in.OldList:
		return takesAll(out.Type)
	}
	return typesFit(out.Type, in.Type)
}

// sameOptions compares two lists of options, in order.
func sameOptions(out *nodes.Output, in *nodes.Input) bool {
	if len(out.Options) != len(in.Options) {
		return false
	}
	for i := range out.Options {
		if !nodes.Equal(out.Options[i], in.Options[i]) {
			return false
		}
	}
	return true
}

// takesAll tells the two types that fit every other: "*", and the one of nodes whose outputs take the type
// of what is connected.
func takesAll(kind string) bool { return kind == nodes.TypeAny || kind == nodes.TypeMatch }

// typesFit compares two types by name; comma lists need an overlap.
func typesFit(out, in string) bool {
	if out == in || takesAll(out) || takesAll(in) {
		return true
	}
	if !strings.Contains(out, ",") && !strings.Contains(in, ",") {
		return strings.TrimSpace(out) == strings.TrimSpace(in)
	}
	for a := range strings.SplitSeq(out, ",") {
		for b := range strings.SplitSeq(in, ",") {
			a, b := strings.TrimSpace(a), strings.TrimSpace(b)
			if a == b || a == nodes.TypeAny || b == nodes.TypeAny {
				return true
			}
		}
	}
	return false
}
