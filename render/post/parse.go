package post

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// kind is one step that may be declared. A new step is a file step_*.go and a line
// in kinds.
type kind struct {
	name  string
	make  func() Step // a pointer, to be filled from JSON
	short string      // the parameter that a bare value stands for; "" if there is none
}

// kinds are all steps, in the order of the documentation.
var kinds = []kind{
	{"resize", func() Step { return new(Resize) }, ""},
	{"crop", func() Step { return new(Crop) }, "aspect"},
	{"pad", func() Step { return new(Pad) }, "aspect"},
	{"rotate", func() Step { return new(Rotate) }, "degrees"},
	{"flip", func() Step { return new(Flip) }, "direction"},
	{"adjust", func() Step { return new(Adjust) }, ""},
	{"grayscale", func() Step { return new(Grayscale) }, ""},
	{"watermark", func() Step { return new(Watermark) }, "text"},
	{"label", func() Step { return new(Label) }, "text"},
	{"pair", func() Step { return new(Pair) }, "layout"},
	{"metadata", func() Step { return new(Metadata) }, "mode"},
	{"format", func() Step { return new(Format) }, "type"},
}

// Names are the steps there are, in the order of the documentation.
func Names() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return names
}

// Parse reads a list of steps from JSON as it stands under output.post:
//
//	[{"resize": {"width": 1024, "filter": "lanczos"}}, {"format": {"type": "jpeg", "quality": 90}}]
//
// Each element has exactly one key. A step without parameters may also be its bare
// name, and the main parameter of some may stand alone: {"rotate": 90}, {"flip":
// "horizontal"}. Unknown steps and parameters, and values out of range, are errors that
// name the step's position from 1. null and the empty list give no steps. Steps that
// need files cannot be read this way; see [ParseRecipe].
func Parse(data []byte) ([]Step, error) { return parseSteps(data, "", "", nil) }

// parseStep reads one element of a list: a name, or an object of one key. Defaults are the
// zero values of the step's fields.
func parseStep(raw json.RawMessage) (Step, error) {
	var name string
	params := json.RawMessage("{}")
	if json.Unmarshal(raw, &name) != nil {
		var m map[string]json.RawMessage
		if err := strict(raw, &m); err != nil || len(m) != 1 {
			return nil, fmt.Errorf("a step is one name with its parameters, as in {resize: {width: 1024}}")
		}
		for name, params = range m {
		}
	}
	for _, k := range kinds {
		if k.name != name {
			continue
		}
		s := k.make()
		// {"rotate": 90} becomes {"rotate": {"degrees": 90}}.
		if k.short != "" && !bytes.HasPrefix(bytes.TrimSpace(params), []byte("{")) {
			params = fmt.Appendf(nil, `{%q: %s}`, k.short, params)
		}
		if err := strict(params, s); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if err := s.Check(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return s, nil
	}
	return nil, fmt.Errorf("there is no step %q, only %s", name, strings.Join(Names(), ", "))
}

// strict decodes exactly one JSON value and refuses keys that v does not have.
func strict(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("text after the value")
	}
	return nil
}
