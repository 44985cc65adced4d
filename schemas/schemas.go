// Package schemas holds the JSON Schemas (draft 2020-12) of every file that is read or written, and checks values against them.
//
// [Check] turns the library's report into one [Violation] for each mistake, in words of our own: what was expected, what was found, which key is
// unknown. Where a value may have several forms, only the form that its shape suggests is spoken of. Violations carry JSON pointers; the
// caller turns them into places.
//
// Schemas are compiled when they are first used and never change; everything here may be called from many goroutines. Limits: numbers
// For example, of `sweeps: {…}` in a batch the violation has the pointer /sweeps, the kind UnknownKey, the
// key sweeps, and the keys of a batch as Allowed, from which the caller suggests sweep.
// with an exponent of more than three digits are refused before the library sees them, because it would compute them.
package schemas

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

//go:embed *.schema.json
var files embed.FS

// names lists the schemas in the order of the documentation.
var names = []string{"batch", "endpoints", "emulator", "object_info", "manifest", "prompts", "diagnostic", "service"}

// base is the address below which the schemas refer to each other. Nothing is fetched from it.
const base = "https://github.com/comfyc/comfyc/schemas/"

// Names lists the schemas.
func Names() []string { return append([]string(nil), names...) }

// Text gives a schema as JSON, as `comfyc schema NAME` prints it; false for a name that is none of [Names].
func Text(name string) (string, bool) {
	data, err := files.ReadFile(name + ".schema.json")
	return string(data), err == nil
}

// schema is one schema, compiled and as a tree in which its keywords can be looked up.
type schema struct {
	compiled *jsonschema.Schema
	tree     any
}

// load compiles all schemas at once, when the first check needs one; commands that read no batch are spared
// it.
var load = sync.OnceValue(func() map[string]schema {
	out := map[string]schema{}
	for _, name := range names {
		s, err := compile(name)
		if err != nil {
			panic("an embedded schema cannot be read: " + err.Error()) // the build is broken; a test holds it
		}
		out[name] = s
	}
	return out
})

// compile reads one schema. References to the others are not resolved over a network: each schema is whole
// by itself.
func compile(name string) (schema, error) {
	text, _ := Text(name)
	c := jsonschema.NewCompiler()
	c.Draft = jsonschema.Draft2020
	url := base + name + ".schema.json"
	if err := c.AddResource(url, strings.NewReader(text)); err != nil {
		return schema{}, err
	}
	compiled, err := c.Compile(url)
	if err != nil {
		return schema{}, err
	}
	dec := json.NewDecoder(bytes.NewReader([]byte(text))) // numbers stay texts, so that bounds are printed as they are written
	dec.UseNumber()
	s := schema{compiled: compiled}
	return s, dec.Decode(&s.tree)
}

// Check compares a value with a schema. The value is made of nil, bool, json.Number, string, []any and map[string]any. The list is empty if it
// fits; its order is that of the report, not of the file. An unknown schema name is a bug and panics.
func Check(name string, v any) (out []Violation) {
	s, ok := load()[name]
	if !ok {
		panic("there is no schema " + name)
	}
	if out = guard(v, ""); len(out) > 0 {
		return out
	}
	defer func() { // the library panics on schemas and values that it did not expect; a request must not end the service
		if r := recover(); r != nil {
			out = []Violation{{Kind: Other, Message: fmt.Sprintf("this cannot be checked: %v", r)}}
		}
	}()
	err := s.compiled.Validate(v)
	if e, ok := err.(*jsonschema.ValidationError); ok {
		return explainer{s.tree, v}.explain(e)
	} else if err != nil {
		return []Violation{{Kind: Other, Message: "this cannot be checked: " + err.Error()}}
	}
	return nil
}
