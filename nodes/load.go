package nodes

import (
	"bytes"
	"slices"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// maxClasses bounds a catalogue. The largest installations known have about 10,000 classes.
const maxClasses = 50_000

// LoadFile reads an /object_info snapshot, or a catalogue that [Import] wrote. The catalogue is nil if there is an error among the findings.
func LoadFile(f *source.File) (*Catalogue, []diag.Diagnostic) {
	// The compact form is told by its first four bytes; a user need not say which of the two a file is.
	if bytes.HasPrefix(f.Data, zstdMagic) {
		c, err := unpack(f.Data)
		if err != nil {
			return nil, []diag.Diagnostic{diag.Errorf("bad_catalogue", diag.InFile(source.NewFile(f.Name, nil)), "%v", err)}
		}
		return c, nil
	}
	v, err := source.ParseJSON(f, source.Limits{})
	if err != nil {
		return nil, []diag.Diagnostic{diag.FromError(err, f.Name)}
	}
	return Load(v)
}

// Load takes a parsed /object_info answer literally. Entries that are no definitions are left out and said as warnings.
func Load(v *source.Value) (*Catalogue, []diag.Diagnostic) {
	if v.Kind != source.Object || len(v.Members) == 0 || len(v.Members) > maxClasses {
		return nil, []diag.Diagnostic{diag.Errorf("bad_catalogue", diag.Of(v),
			"an /object_info answer is an object of 1 to %d class definitions, this is %s", maxClasses, describe(v))}
	}
	var findings []diag.Diagnostic
	c := &Catalogue{entries: make(map[string]*entry, len(v.Members)), literal: true}
	for i := range v.Members {
		m := &v.Members[i]
		if in := m.Value.Get("input"); in == nil || in.Kind != source.Object {
			findings = append(findings, diag.Warnf("bad_catalogue", diag.OfKey(m), "%q is no class definition: it has no object \"input\"", m.Key))
			continue
		}
		c.entries[m.Key] = &entry{tree: m.Value} // not decoded before somebody asks
	}
	if len(c.entries) == 0 {
		return nil, []diag.Diagnostic{diag.Errorf("bad_catalogue", diag.Of(v), "no class definition is in this file; an /object_info answer was expected")}
	}
	c.sortNames()
	return c, findings
}

// sortNames fills names from entries.
func (c *Catalogue) sortNames() {
	c.names = make([]string, 0, len(c.entries))
	for name := range c.entries {
		c.names = append(c.names, name)
	}
	slices.Sort(c.names)
}

// describe says in a finding what was there instead of an answer with classes: "a list", "empty", "larger".
func describe(v *source.Value) string {
	switch {
	case v.Kind != source.Object:
		return v.Kind.String()
	case len(v.Members) == 0:
		return "empty"
	}
	return "larger"
}
