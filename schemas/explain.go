// From the library's report to sentences. Its own messages speak of keywords and of every form of a union
// that does not fit: a misspelt key of an axis would give a dozen. Here one mistake is one violation, about
// the form that was most likely meant.

package schemas

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// explainer turns a report of the library into violations. It reads only the locations of the report and
// looks the rest up in the schema and in the value; wordings of the library may change without an effect
// here.
type explainer struct {
	schema any
	value  any
}

// explain walks a report, which is a tree of causes, down to its leaves, unions excepted: of those, one
// branch is walked.
func (x explainer) explain(e *jsonschema.ValidationError) (out []Violation) {
	switch keyword := last(e.AbsoluteKeywordLocation); {
	case keyword == "anyOf" || keyword == "oneOf":
		return x.union(e)
	case keyword == "additionalProperties" && len(e.Causes) == 0:
		return x.unknownKeys(e)
	case len(e.Causes) > 0:
		for _, cause := range e.Causes {
			out = append(out, x.explain(cause)...)
		}
		return out
	}
	return []Violation{x.leaf(e)}
}

// union speaks of the one branch that the value's shape suggests: {from: 1, cuont: 3} is a range with an
// unknown key, not a text, a number or a list that it is not. If no branch can have the value's type, all
// are named.
func (x explainer) union(e *jsonschema.ValidationError) []Violation {
	value := x.instance(e)
	owner := x.owner(e)
	branches, _ := owner[last(e.AbsoluteKeywordLocation)].([]any)
	best, bestScore := -1, 0
	for i, b := range branches { // of equally good branches the first
		if score := x.score(x.resolve(b), value); score > bestScore {
			best, bestScore = i, score
		}
	}
	if best < 0 {
		return []Violation{x.violation(e, WrongType, "expected %s, found %s", x.expected(owner), kindOf(value))}
	}
	if strange := x.strangeKeys(e, branches, value); strange != nil {
		return strange
	}
	mark := e.KeywordLocation + "/" + strconv.Itoa(best) // causes of the chosen branch are below its index
	var out []Violation
	for _, cause := range e.Causes {
		if cause.KeywordLocation == mark || strings.HasPrefix(cause.KeywordLocation, mark+"/") {
			out = append(out, x.explain(cause)...)
		}
	}
	return out
}

// strangeKeys gives a violation for each key of an object of which no form has a single key: then no form
// is the one that is meant. Nil, also for what is no object, means that one key is known.
func (x explainer) strangeKeys(e *jsonschema.ValidationError, branches []any, value any) (out []Violation) {
	object, _ := value.(map[string]any)
	known := map[string]any{}
	x.addKeys(known, branches)
	for _, key := range keys(object) {
		if known[key] != nil {
			return nil
		}
		v := x.violation(e, UnknownKey, "unknown key %q", key)
		v.Pointer += "/" + escape(key)
		v.Key, v.Allowed = key, keys(known)
		out = append(out, v)
	}
	return out
}

// addKeys collects the keys of all forms that are objects, those of unions within unions as well.
func (x explainer) addKeys(known map[string]any, branches []any) {
	for _, b := range branches {
		branch := x.resolve(b)
		x.addKeys(known, unionOf(branch))
		properties, _ := branch["properties"].(map[string]any)
		for key, schema := range properties {
			known[key] = schema
		}
	}
}

// score says how well a branch suits the shape of a value: 0 if its type cannot be right. Each known key
// speaks for a form more than an unknown one does against it, and a required key that is missing against it
// most: forms are mostly told by one key that only they have.
func (x explainer) score(branch map[string]any, value any) int {
	if inner := unionOf(branch); inner != nil {
		best := 0
		for _, b := range inner {
			best = max(best, x.score(x.resolve(b), value))
		}
		return best
	}
	if list, ok := branch["enum"].([]any); ok {
		if len(list) > 0 && slices.Equal(jsonTypes(list[0]), jsonTypes(value)) {
			return 50 // below a text without an enumeration, which then has the better message
		}
		return 0
	}
	if types := typesOf(branch); types != nil && !overlap(types, jsonTypes(value)) {
		return 0
	}
	object, ok := value.(map[string]any) // of the right type, and more cannot be said
	if !ok {
		return 100
	}
	score := 100
	properties, _ := branch["properties"].(map[string]any)
	for key := range object {
		if _, known := properties[key]; known {
			score += 10
		} else {
			score -= 3
		}
	}
	for _, key := range texts(branch["required"]) {
		if _, there := object[key]; !there {
			score -= 20
		}
	}
	return max(score, 1) // a bad fit of the right type is still better than another type
}

// expected says in words what the forms of a union are: its title, if the schema has one, else "a text, a
// number or a list".
func (x explainer) expected(owner map[string]any) string {
	if title, ok := owner["title"].(string); ok {
		return title
	}
	var words []string
	for _, b := range unionOf(owner) {
		if word := x.describe(x.resolve(b)); !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return either(words)
}

// describe says in words what a schema expects.
func (x explainer) describe(s map[string]any) string {
	if title, ok := s["title"].(string); ok {
		return title
	}
	if unionOf(s) != nil {
		return x.expected(s)
	}
	if list, ok := s["enum"].([]any); ok {
		return either(printed(list))
	}
	var words []string
	for _, t := range typesOf(s) {
		words = append(words, typeWords[t])
	}
	return either(words)
}

// either prints "a, b or c".
func either(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// unknownKeys gives a violation for each key that the schema does not have.
func (x explainer) unknownKeys(e *jsonschema.ValidationError) (out []Violation) {
	properties, _ := x.owner(e)["properties"].(map[string]any)
	object, _ := x.instance(e).(map[string]any)
	for _, key := range keys(object) {
		if _, known := properties[key]; !known {
			v := x.violation(e, UnknownKey, "unknown key %q", key)
			v.Pointer += "/" + escape(key)
			v.Key, v.Allowed = key, keys(properties)
			out = append(out, v)
		}
	}
	return out
}

// leaf explains a report without causes.
// Cases without a return fall through to the last line, when the schema has not what the keyword promises.
func (x explainer) leaf(e *jsonschema.ValidationError) Violation {
	value, owner := x.instance(e), x.owner(e)
	switch keyword := last(e.AbsoluteKeywordLocation); keyword {
	case "type":
		return x.violation(e, WrongType, "expected %s, found %s", x.describe(owner), kindOf(value))
	case "required":
		object, _ := value.(map[string]any)
		for _, key := range texts(owner["required"]) {
			if _, there := object[key]; !there {
				v := x.violation(e, MissingKey, "%q is missing", key)
				v.Key = key
				return v
			}
		}
	case "enum", "const":
		list, _ := owner["enum"].([]any)
		if one, ok := owner["const"]; ok {
			list = []any{one}
		}
		v := x.violation(e, NotAllowed, "expected %s, found %s", either(printed(list)), kindOf(value))
		v.Allowed = printed(list)
		v.Found, _ = value.(string)
		return v
	case "pattern":
		return x.violation(e, OutOfRange, "expected %s, found %s", titleOr(owner, "another form"), kindOf(value))
	case "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum":
		return x.violation(e, OutOfRange, "expected %s, found %s", bounds(owner), kindOf(value))
	case "minLength", "minItems", "minProperties":
		return x.violation(e, OutOfRange, "this is empty or too short")
	case "maxLength", "maxItems", "maxProperties":
		return x.violation(e, OutOfRange, "this is too long: at most %v are read", owner[keyword])
	}
	return x.violation(e, Other, "this does not have the documented form")
}

func titleOr(s map[string]any, otherwise string) string {
	if title, ok := s["title"].(string); ok {
		return title
	}
	return otherwise
}

// bounds prints "an integer from 1 to 10"; a bound that the schema does not have is left out.
func bounds(s map[string]any) string {
	word := either(func() (out []string) {
		for _, t := range typesOf(s) {
			out = append(out, typeWords[t])
		}
		return out
	}())
	low, hasLow := s["minimum"]
	high, hasHigh := s["maximum"]
	switch above, hasAbove := s["exclusiveMinimum"]; {
	case hasLow && hasHigh:
		return fmt.Sprintf("%s from %v to %v", word, low, high)
	case hasLow:
		return fmt.Sprintf("%s of at least %v", word, low)
	case hasAbove:
		return fmt.Sprintf("%s above %v", word, above)
	}
	return fmt.Sprintf("%s of at most %v", word, high)
}

// violation starts one with the two locations of a report. Both come as parts of URLs and are turned into
// plain JSON pointers.
func (x explainer) violation(e *jsonschema.ValidationError, kind Kind, format string, args ...any) Violation {
	return Violation{Pointer: unescapeURL(e.InstanceLocation), KeywordLocation: fragment(e.AbsoluteKeywordLocation), Kind: kind,
		Message: fmt.Sprintf(format, args...)}
}

// instance finds the value that a report is about.
func (x explainer) instance(e *jsonschema.ValidationError) any {
	return lookup(x.value, unescapeURL(e.InstanceLocation))
}

// owner finds the schema that holds the keyword of a report.
func (x explainer) owner(e *jsonschema.ValidationError) map[string]any {
	pointer := fragment(e.AbsoluteKeywordLocation)
	if i := strings.LastIndexByte(pointer, '/'); i >= 0 {
		pointer = pointer[:i]
	}
	s, _ := lookup(x.schema, pointer).(map[string]any)
	return x.resolve(s)
}

// resolve follows a $ref within the schema, at most eight in a row; an empty map stands for what is no
// object.
func (x explainer) resolve(s any) map[string]any {
	m, _ := s.(map[string]any)
	for range 8 {
		ref, ok := m["$ref"].(string)
		if !ok {
			break
		}
		m, _ = lookup(x.schema, strings.TrimPrefix(ref, "#")).(map[string]any)
	}
	return m
}

// fragment gives the JSON pointer at the end of an address: …/batch.schema.json#/properties/name →
// /properties/name.
func fragment(location string) string {
	_, pointer, _ := strings.Cut(location, "#")
	return unescapeURL(pointer)
}

// unescapeURL undoes the percent signs that the library puts into pointers.
func unescapeURL(pointer string) string {
	if plain, err := url.PathUnescape(pointer); err == nil {
		return plain
	}
	return pointer
}

func last(location string) string { return location[strings.LastIndexByte(location, '/')+1:] }

// lookup follows a JSON pointer; nil if it leads nowhere. ~1 and ~0 in it are a slash and a tilde.
func lookup(v any, pointer string) any {
	if pointer == "" {
		return v
	}
	for _, part := range strings.Split(pointer, "/")[1:] {
		switch at := v.(type) {
		case map[string]any:
			v = at[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(at) {
				return nil
			}
			v = at[i]
		default:
			return nil
		}
	}
	return v
}

// unionOf gives the forms of a union, nil for other schemas.
func unionOf(s map[string]any) []any {
	if list, ok := s["anyOf"].([]any); ok {
		return list
	}
	list, _ := s["oneOf"].([]any)
	return list
}

// typesOf gives the types that a schema names, nil for all: "type" is one name or a list of them.
func typesOf(s map[string]any) []string {
	if t, ok := s["type"].(string); ok {
		return []string{t}
	}
	return texts(s["type"])
}

// texts gives the strings of a list, nil for anything else.
func texts(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, item := range list {
		if s, ok := item.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// printed gives the words of an enumeration.
func printed(list []any) []string {
	var out []string
	for _, item := range list {
		if n, ok := item.(json.Number); ok {
			out = append(out, n.String())
			continue
		}
		out = append(out, fmt.Sprint(item))
	}
	return out
}

// overlap tells whether two lists have an element in common.
func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}
