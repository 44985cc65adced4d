package compiler

import (
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/schemas"
)

// schemaFindings holds a tree against a schema and gives a finding, with its place, for each mistake;
// none if it fits. An unknown schema name panics.
func schemaFindings(name string, root *source.Value) []diag.Diagnostic {
	var list diag.List
	for _, v := range schemas.Check(name, root.Any()) {
		list.Add(schemaFinding(root, v))
	}
	return list.Sorted()
}

// schemaFinding finds the place of a violation: the key itself if it is unknown, else the value.
func schemaFinding(root *source.Value, v schemas.Violation) diag.Diagnostic {
	value, member := root, (*source.Member)(nil)
	if v.Pointer != "" {
		value, member = root.Pointer(v.Pointer)
	}
	at := diag.Of(value)
	switch v.Kind {
	case schemas.UnknownKey:
		hint := diag.Suggest(v.Key, v.Allowed)
		if known := slices.DeleteFunc(v.Allowed, func(key string) bool { return key == "$schema" }); hint == "" && len(known) > 0 {
			hint = "known here: " + strings.Join(known, ", ")
		}
		return diag.Errorf("schema", diag.OfKey(member), "%s", v.Message).Hinted(hint)
	case schemas.NotAllowed:
		return diag.Errorf("schema", at, "%s", inside(member, v.Message)).Hinted(diag.Suggest(v.Found, v.Allowed))
	}
	return diag.Errorf("schema", at, "%s", inside(member, v.Message))
}

// inside says to which key a message belongs.
func inside(m *source.Member, message string) string {
	if m == nil {
		return message
	}
	return m.Key + ": " + message
}
