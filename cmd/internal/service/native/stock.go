package native

import (
	"slices"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// stock is which model files the endpoints of a pool have, as far as that is known: by an endpoint's snapshot, its own list, or its worker's
// image, in this order, as the check of a prompt takes them. It never changes.
type stock []shelf

// shelf is one endpoint's part of a stock.
type shelf struct {
	classes *nodes.Catalogue  // a snapshot of the endpoint, nil if there is none
	models  []string          // its own list, of all kinds; nil if there is none
	profile nodes.Profile     // of its image
	aliases map[string]string // name in a prompt → name there
}

// newStock reads what is known of endpoints. A snapshot that cannot be read is as none: the check of each prompt says so.
func newStock(ends []compiler.EndpointConfig) (s stock) {
	for _, e := range ends {
		sh := shelf{models: e.Models, aliases: e.Aliases}
		sh.profile, _ = nodes.ProfileOf(e.Worker)
		if e.ObjectInfo != "" {
			if f, err := source.ReadFile(e.ObjectInfo); err == nil {
				sh.classes, _ = nodes.LoadFile(f)
			}
		}
		s = append(s, sh)
	}
	return s
}

// has lists the names that an input of a class takes on one endpoint, aliases included. known is false where any name may exist.
func (sh *shelf) has(class, input, kind string) (names []string, known bool) {
	names, known = sh.there(class, input, kind)
	names = slices.Clone(names)
	for name, there := range sh.aliases {
		if slices.Contains(names, there) {
			names = append(names, name)
		}
	}
	return names, known
}

// there is has without aliases.
func (sh *shelf) there(class, input, kind string) (names []string, known bool) {
	if sh.classes != nil {
		if c, ok := sh.classes.Class(class); ok {
			if in := c.Input(input); in != nil && in.Type == nodes.TypeCombo && !in.Open {
				return in.OptionNames(), true
			}
		}
	}
	switch {
	case kind == "": // a list of files of which nobody knows the folder
		return nil, false
	case sh.models != nil:
		return sh.models, true
	}
	return sh.profile.Models[kind], len(sh.profile.Models) > 0 // images without models get theirs from a volume
}

// names lists what an input of a class takes anywhere in the pool, sorted. known is false if one endpoint may have more.
func (s stock) names(class, input, kind string) (names []string, known bool) {
	known = len(s) > 0
	for i := range s {
		have, all := s[i].has(class, input, kind)
		names, known = append(names, have...), known && all
	}
	slices.Sort(names)
	return slices.Compact(names), known
}

// stocked is a class with the lists of the pool's models.
func (s stock) stocked(class *nodes.Class) *nodes.Class {
	return class.Stocked(func(in *nodes.Input) ([]string, bool) {
		return s.names(class.Name, in.Name, nodes.ModelKind(class.Name, in.Name))
	})
}
