// A batch that is written on the command line. It becomes text first and is then compiled like any other,
// so that --write saves exactly what was run, and a finding can show the line that a flag became.

package compiler

import (
	"fmt"
	"path"
	"strings"

	"github.com/comfyc/comfyc/compiler/source"
)

// BatchText writes a batch for a workflow and what the command line says of it: set holds "ADDRESS=VALUE", sweep holds "ADDRESS=VALUES". Values are
// YAML; VALUES are a list in brackets, a range, an object in braces, or texts between commas. The text is what `--write` saves, and what is compiled, so
// that findings can point into it.
func BatchText(workflow string, set, sweep []string) ([]byte, error) {
	var b strings.Builder
	b.WriteString("# yaml-language-server: $schema=batch.schema.json\nversion: 1\nname: " + quoted(baseName(workflow)) + "\nworkflow: " + quoted(workflow) + "\n")
	for i, text := range set {
		address, value, ok := strings.Cut(text, "=")
		if !ok || address == "" {
			return nil, fmt.Errorf("--set %s: ADDRESS=VALUE is expected", text)
		}
		if i == 0 {
			b.WriteString("set:\n")
		}
		b.WriteString("  " + quoted(address) + ": " + flagScalar(value) + "\n")
	}
	for i, text := range sweep {
		address, values, ok := strings.Cut(text, "=")
		if !ok || address == "" || strings.TrimSpace(values) == "" {
			return nil, fmt.Errorf("--sweep %s: ADDRESS=VALUES is expected", text)
		}
		if i == 0 {
			b.WriteString("sweep:\n  matrix:\n")
		}
		b.WriteString("    " + quoted(address) + ": " + flagValues(values) + "\n")
	}
	return []byte(b.String()), nil
}

// baseName is a file's name without folders and extension.
func baseName(name string) string {
	return strings.TrimSuffix(path.Base(name), path.Ext(name))
}

// quoted writes a text in JSON's quotes, which YAML reads as well.
func quoted(s string) string { return string(source.AppendQuoted(nil, s)) }

// flagScalar writes one value: numbers, true, false and null as they are, all else in quotes. A YAML text
// in quotes keeps its content: --set 6.text='"8"' is the text 8.
func flagScalar(text string) string {
	v, err := source.ParseYAML(source.NewFile("", []byte(text)), source.Limits{})
	if err != nil || v.Kind == source.Array || v.Kind == source.Object || v.Kind == source.String && v.Plain {
		return quoted(text)
	}
	return string(v.AppendJSON(nil))
}

// flagValues writes the values of an axis: "[1, 2]" and "{random: 4}" as they are, "1, 2, .., 9" as a
// range, and any other text as a list of what stands between its commas.
func flagValues(text string) string {
	text = strings.TrimSpace(text)
	if v, err := source.ParseYAML(source.NewFile("", []byte(text)), source.Limits{}); err == nil && (v.Kind == source.Array || v.Kind == source.Object) && strings.ContainsAny(text[:1], "[{") {
		return string(v.AppendJSON(nil))
	}
	if strings.Contains(text, "..") {
		return quoted(text)
	}
	var parts []string
	for _, part := range strings.Split(text, ",") {
		parts = append(parts, flagScalar(strings.TrimSpace(part)))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
