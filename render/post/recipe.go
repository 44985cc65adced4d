package post

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A declaration is checked before anything is rendered: a mistake that showed only after
// the first picture had been paid for would be a dear one. Hence tokens() as well: whoever
// plans the batch can see that every %token% has a value.

// Recipe is output.post as declared. It is immutable and safe for concurrent use; the
// zero value leaves pictures as they came.
type Recipe struct {
	// Variants are what is made of each picture, the one that is shown first.
	Variants []Variant
	// DropOriginals removes the picture as it came once all variants are safe.
	DropOriginals bool
}

// Variant is one list of steps. Its name, empty if there is only one, is the folder of
// its files.
type Variant struct {
	Name  string
	Steps []Step
}

// MaxVariants bounds a recipe.
const MaxVariants = 16

// ParseError is a mistake in a declaration.
type ParseError struct {
	// Pointer is the JSON pointer, below output.post, of what is wrong.
	Pointer string
	// Where says the same in words, with positions from 1.
	Where string
	Err   error
}

func (e *ParseError) Error() string {
	if e.Where == "" {
		return "post: " + e.Err.Error()
	}
	return "post, " + e.Where + ": " + e.Err.Error()
}

func (e *ParseError) Unwrap() error { return e.Err }

// Opener opens a file that a step names, such as a watermark's image. Whoever calls
// [ParseRecipe] decides which files may be read.
type Opener func(path string) (io.ReadSeekCloser, error)

// loader is a step that needs files; load is called once, after Check.
type loader interface{ load(Opener) error }

// tokenUser is a step whose texts may have tokens.
type tokenUser interface{ tokens() []string }

// ParseRecipe reads output.post, given as JSON, in one of its forms:
//
//	[STEP, …]
//	{"steps": [STEP, …], "originals": "drop"}
//	{"variants": {"web": [STEP, …], "print": [STEP, …]}, "originals": "keep"}
//
// For a STEP see [Parse]. Variants keep their order. open may be nil if no step needs a
// file. The error is a [*ParseError].
func ParseRecipe(data []byte, open Opener) (Recipe, error) {
	data = bytes.TrimSpace(data)
	// The short form: a bare list of steps.
	if len(data) == 0 || data[0] != '{' {
		steps, err := parseSteps(data, "", "", open)
		if err != nil || len(steps) == 0 {
			return Recipe{}, err
		}
		return Recipe{Variants: []Variant{{Steps: steps}}}, nil
	}
	var raw struct {
		Steps     json.RawMessage `json:"steps"`
		Variants  json.RawMessage `json:"variants"`
		Originals string          `json:"originals"`
	}
	if err := strict(data, &raw); err != nil {
		return Recipe{}, &ParseError{Err: err}
	}
	if raw.Originals != "" && raw.Originals != "keep" && raw.Originals != "drop" {
		return Recipe{}, &ParseError{Pointer: "/originals", Err: fmt.Errorf("originals are keep or drop, not %q", raw.Originals)}
	}
	if (raw.Steps == nil) == (raw.Variants == nil) {
		return Recipe{}, &ParseError{Err: errors.New("either steps or variants are needed")}
	}
	r := Recipe{DropOriginals: raw.Originals == "drop"}
	var err error
	if raw.Variants != nil {
		r.Variants, err = parseVariants(raw.Variants, open)
		return r, err
	}
	steps, err := parseSteps(raw.Steps, "/steps", "", open)
	if err == nil && len(steps) == 0 {
		return Recipe{}, nil
	}
	r.Variants = []Variant{{Steps: steps}}
	return r, err
}

// variantName is what a folder may be called on every file system.
var variantName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$`)

// devices are names that Windows keeps for itself.
var devices = regexp.MustCompile(`(?i)^(con|prn|aux|nul|com[0-9]|lpt[0-9])$`)

// parseVariants reads the object under variants. Names are compared without regard to case,
// since folders are so on two of three systems.
func parseVariants(data []byte, open Opener) ([]Variant, error) {
	fail := func(pointer string, err error) ([]Variant, error) {
		return nil, &ParseError{Pointer: "/variants" + pointer, Err: err}
	}
	keys, values, err := members(data)
	switch {
	case err != nil:
		return fail("", err)
	case len(keys) == 0 || len(keys) > MaxVariants:
		return fail("", fmt.Errorf("%d variants, between 1 and %d are allowed", len(keys), MaxVariants))
	}
	var out []Variant
	for i, name := range keys {
		same := func(v Variant) bool { return strings.EqualFold(v.Name, name) }
		switch {
		case !variantName.MatchString(name) || devices.MatchString(name):
			return fail("/"+name, fmt.Errorf("a variant's name %q has letters, digits, - and _ only, at most 32", name))
		case slices.ContainsFunc(out, same):
			return fail("/"+name, fmt.Errorf("two variants are called %s", name))
		}
		steps, err := parseSteps(values[i], "/variants/"+name, "variant "+name+", ", open)
		if err != nil {
			return nil, err
		}
		out = append(out, Variant{name, steps})
	}
	return out, nil
}

// members reads an object in its order.
func members(data []byte) (keys []string, values []json.RawMessage, err error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, nil, errors.New("expected an object")
	}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, nil, err
		}
		key, _ := t.(string)
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, nil, err
		}
		keys, values = append(keys, key), append(values, value)
	}
	return keys, values, nil
}

// parseSteps reads a list of steps that stands at the pointer.
func parseSteps(data []byte, pointer, where string, open Opener) ([]Step, error) {
	var list []json.RawMessage
	if err := strict(data, &list); err != nil {
		return nil, &ParseError{pointer, strings.TrimSuffix(where, ", "), err}
	}
	if len(list) > MaxSteps {
		return nil, &ParseError{pointer, strings.TrimSuffix(where, ", "), fmt.Errorf("%d steps, at most %d are allowed", len(list), MaxSteps)}
	}
	steps := make([]Step, 0, len(list))
	for i, raw := range list {
		s, err := parseStep(raw)
		if l, ok := s.(loader); ok && err == nil {
			err = l.load(open)
		}
		if err != nil {
			return nil, &ParseError{pointer + "/" + strconv.Itoa(i), fmt.Sprintf("%sstep %d", where, i+1), err}
		}
		steps = append(steps, s)
	}
	return steps, nil
}

// Tokens lists the tokens that the texts of the recipe use, each once, sorted, so that
// a caller can see before anything is rendered whether all have values.
func (r Recipe) Tokens() (names []string) {
	for _, v := range r.Variants {
		for _, s := range v.Steps {
			if u, ok := s.(tokenUser); ok {
				names = append(names, u.tokens()...)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
