package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// The library makes a tree of nodes with lines and columns; here they become Values with byte offsets, so that all later passes see one kind of
// tree. What YAML can say and JSON cannot (aliases, merges, tags, other numbers) is resolved or refused at this border.

// ParseYAML reads one YAML document into the same kind of tree as JSON gives. Aliases and merge keys are expanded within
// Limits.Values, so that an alias bomb is refused; timestamps stay strings; numbers in YAML's own notations (0x10, .5, .inf) are
// rewritten as JSON's. Duplicate keys, keys that are no scalars and several documents are errors.
func ParseYAML(f *File, limits Limits) (*Value, error) {
	p := &yamlParser{file: f, limits: limits.withDefaults()}
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(f.Data))
	// Decoding into a node keeps aliases as they are, so a bomb is still small here.
	if err := dec.Decode(&doc); err != nil {
		return nil, p.syntax(err)
	}
	// A second document would be ignored silently otherwise.
	var second yaml.Node
	if err := dec.Decode(&second); err == nil {
		return nil, p.fail(&second, "syntax", "a second YAML document; one was expected")
	} else if !errors.Is(err, io.EOF) {
		return nil, p.syntax(err)
	}
	// A document of comments alone has no content.
	if len(doc.Content) != 1 {
		return nil, &Error{File: f, Code: "syntax", Message: "the file is empty, YAML was expected"}
	}
	return p.value(doc.Content[0], 0)
}

// Parse reads JSON if the name ends in .json, in capitals or not, else YAML, which takes nearly every JSON text as well. Only JSON uses
// Limits.Leave.
func Parse(f *File, limits Limits) (*Value, error) {
	if strings.HasSuffix(strings.ToLower(f.Name), ".json") {
		return ParseJSON(f, limits)
	}
	return ParseYAML(f, limits)
}

// yamlParser turns the library's nodes into Values. values counts what was made so far, aliases each time that they are used.
type yamlParser struct {
	file   *File
	limits Limits
	values int
}

// value makes the value of a node. An alias is made anew wherever it stands: nine levels of ten aliases each would be 10^9 values, which the
// count stops; an alias inside of itself is stopped by the depth.
func (p *yamlParser) value(n *yaml.Node, depth int) (*Value, error) {
	if p.values++; p.values > p.limits.Values {
		return nil, p.fail(n, "too_large", fmt.Sprintf("more than %d values", p.limits.Values))
	}
	if depth > p.limits.Depth {
		return nil, p.fail(n, "too_deep", fmt.Sprintf("nested deeper than %d levels", p.limits.Depth))
	}
	switch n.Kind {
	case yaml.AliasNode:
		return p.value(n.Alias, depth+1)
	case yaml.SequenceNode:
		return p.sequence(n, depth)
	case yaml.MappingNode:
		return p.mapping(n, depth)
	}
	return p.scalar(n)
}

// sequence makes an array. The library tells where a node starts, not where it ends: it ends where its last item does, brackets not included.
func (p *yamlParser) sequence(n *yaml.Node, depth int) (*Value, error) {
	start, end := p.span(n)
	v := &Value{Kind: Array, File: p.file, Start: start, End: end}
	for _, c := range n.Content {
		item, err := p.value(c, depth+1)
		if err != nil {
			return nil, err
		}
		v.Items = append(v.Items, item)
		v.End = max(v.End, item.End)
	}
	return v, nil
}

// mapping makes an object. A merge key may stand anywhere in it, so merged members are added last, if the mapping has no member of that name.
func (p *yamlParser) mapping(n *yaml.Node, depth int) (*Value, error) {
	start, end := p.span(n)
	v := &Value{Kind: Object, File: p.file, Start: start, End: end}
	var seen map[string]int
	var merged []Member
	// Keys and values lie in turns in one list.
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		value, err := p.value(n.Content[i+1], depth+1)
		if err != nil {
			return nil, err
		}
		// A "<<" in quotes is a usual key.
		if key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge" {
			if merged, err = p.merge(merged, key, value); err != nil {
				return nil, err
			}
			continue
		}
		if key.Kind != yaml.ScalarNode {
			return nil, p.fail(key, "syntax", "a key must be a plain text")
		}
		m := Member{Key: key.Value, Value: value}
		m.KeyStart, m.KeyEnd = p.span(key)
		// Keys are compared as text: 1 and "1" are the same key, as they would be in JSON.
		if first := findMember(v, m.Key, &seen); first >= 0 {
			return nil, &Error{File: p.file, Start: m.KeyStart, End: m.KeyEnd, Code: "duplicate_key",
				Message: fmt.Sprintf("key %q is there twice", m.Key),
				Note:    "the first one is here", NoteStart: v.Members[first].KeyStart, NoteEnd: v.Members[first].KeyEnd}
		}
		v.Members = append(v.Members, m)
		if seen != nil {
			seen[m.Key] = len(v.Members) - 1
		}
		v.End = max(v.End, value.End)
	}
	// Merged members keep the places of the mapping that they come from, so a finding points at where the value is written.
	if len(merged) > 0 {
		own := make(map[string]bool, len(v.Members))
		for i := range v.Members {
			own[v.Members[i].Key] = true
		}
		for _, m := range merged {
			if !own[m.Key] {
				own[m.Key] = true
				v.Members = append(v.Members, m)
			}
		}
	}
	return v, nil
}

// merge takes the members that a merge key (<<) brings; keys of the mapping itself and of earlier merges win.
func (p *yamlParser) merge(have []Member, key *yaml.Node, value *Value) ([]Member, error) {
	// One mapping, or several in a list, of which earlier ones win.
	sources := []*Value{value}
	if value.Kind == Array {
		sources = value.Items
	}
	for _, s := range sources {
		if s.Kind != Object {
			return nil, p.fail(key, "syntax", "a merge key (<<) takes a mapping or a list of mappings")
		}
		have = append(have, s.Members...)
	}
	if len(have) > p.limits.Values {
		return nil, p.fail(key, "too_large", "too many merged keys")
	}
	return have, nil
}

// jsonNumber is the grammar of a number that can be kept as it is written.
var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// scalar makes a null, a boolean, a number or a string, by the tag that the library found or the author wrote.
func (p *yamlParser) scalar(n *yaml.Node) (*Value, error) {
	start, end := p.span(n)
	v := &Value{Kind: String, Text: n.Value, File: p.file, Start: start, End: end}
	// None of the four styles that mark a text as one.
	v.Plain = n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
	tag := n.ShortTag()
	if tag == "!!str" && v.Plain && n.Style&yaml.TaggedStyle == 0 && jsonNumber.MatchString(n.Value) {
		tag = "!!float" // too large for the library, which takes it for a text
	}
	switch tag {
	case "!!null":
		v.Kind, v.Text = Null, ""
	case "!!bool":
		v.Kind, v.Bool, v.Text = Bool, strings.EqualFold(n.Value, "true"), ""
	case "!!int", "!!float":
		if len(n.Value) > maxNumberLength {
			return nil, p.fail(n, "number_too_long", fmt.Sprintf("a number of %d characters; at most %d are read", len(n.Value), maxNumberLength))
		}
		// A text that its author tagged as a number and that is none stays a string; the check against the schema will say so.
		if text, ok := numberText(n.Value); ok {
			v.Kind, v.Text = Number, text
		}
	// JSON has no dates, and "<<" as a value is just a text.
	case "!!str", "!!timestamp", "!!merge":
	default:
		return nil, p.fail(n, "syntax", fmt.Sprintf("the YAML tag %s is not read here", tag))
	}
	return v, nil
}

// numberText rewrites YAML's notations of numbers as JSON's: 0x10 becomes 16, 1_000 becomes 1000, .5 becomes 0.5, .inf becomes Infinity. Integers
// are tried before floats and unsigned ones too, so that 0xFFFFFFFFFFFFFFFF keeps all of its bits.
func numberText(text string) (string, bool) {
	if jsonNumber.MatchString(text) {
		return text, true
	}
	// Base 0 reads the prefixes 0x, 0o and 0b, and a leading 0 as octal, as YAML 1.1 does.
	plain := strings.ReplaceAll(text, "_", "")
	if i, err := strconv.ParseInt(plain, 0, 64); err == nil {
		return strconv.FormatInt(i, 10), true
	}
	if u, err := strconv.ParseUint(strings.TrimPrefix(plain, "+"), 0, 64); err == nil {
		return strconv.FormatUint(u, 10), true
	}
	switch strings.ToLower(strings.TrimPrefix(plain, "+")) {
	case ".inf":
		return FormatFloat(math.Inf(1)), true
	case "-.inf":
		return FormatFloat(math.Inf(-1)), true
	case ".nan":
		return FormatFloat(math.NaN()), true
	}
	f, err := strconv.ParseFloat(plain, 64)
	if err != nil {
		return "", false
	}
	return FormatFloat(f), true
}

// span gives the byte offsets of a node: exact for scalars on one line, up to the end of the line otherwise.
func (p *yamlParser) span(n *yaml.Node) (start, end int) {
	// The library counts columns in characters from 1; offsets are in bytes.
	line, start := p.file.Line(n.Line)
	rest := line
	for i := 1; i < n.Column && len(rest) > 0; i++ {
		_, size := utf8.DecodeRune(rest)
		rest = rest[size:]
		start += size
	}
	// Of a list, a mapping or an alias the first byte is enough to point at.
	if n.Kind != yaml.ScalarNode {
		return start, start + min(1, len(rest))
	}
	return start, start + scalarLength(n, rest)
}

// scalarLength gives the length in bytes of a scalar as it is written; rest is its line from where it starts. A block scalar (| or >) and a
// quoted one that goes on below are shown up to the end of their first line.
func scalarLength(n *yaml.Node, rest []byte) int {
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0 && len(rest) > 0 && rest[0] == '"':
		return min(endOfString(rest, 0)+1, len(rest))
	case n.Style&yaml.SingleQuotedStyle != 0 && len(rest) > 0 && rest[0] == '\'':
		if end := endOfSingle(rest); end > 0 {
			return end
		}
	// A plain scalar on one line is written as it reads.
	case bytes.HasPrefix(rest, []byte(n.Value)):
		return len(n.Value)
	}
	return len(bytes.TrimRight(rest, " \t"))
}

// endOfSingle is the length of a text in single quotes, in which two quotes stand for one; 0 if it does not end on its line.
func endOfSingle(text []byte) int {
	for i := 1; i < len(text); i++ {
		if text[i] != '\'' {
			continue
		}
		if i+1 == len(text) || text[i+1] != '\'' {
			return i + 1
		}
		i++
	}
	return 0
}

// fail makes an error at a node. Of an alias bomb that is the node inside of the anchor at which the count was reached.
func (p *yamlParser) fail(n *yaml.Node, code, message string) error {
	start, end := p.span(n)
	return &Error{File: p.file, Start: start, End: end, Code: code, Message: message}
}

// yamlPlace finds "L2.C6" and "line 2, column 6" in the library's messages, which carry no offsets.
var yamlPlace = regexp.MustCompile(`(?:yaml: )?(?:while [a-z ]+ at )?(?:L(\d+)(?:\.C(\d+))?|line (\d+)(?:, columns? (\d+))?)(?:-(?:L?(\d+)?\.?C(\d+)))?:?\s*`)

// syntax turns the library's errors into ours. Older kinds of them have their place in the text only; one without a place is shown at the start.
func (p *yamlParser) syntax(err error) error {
	out := &Error{File: p.file, Code: "syntax"}
	var load *yaml.LoadError
	// Newer errors carry a line and a column of their own.
	if errors.As(err, &load) {
		out.Message = "not YAML: " + load.Message
		out.Start = p.offset(load.Mark.Line, load.Mark.Column)
	} else {
		out.Message = "not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")
		if m := yamlPlace.FindStringSubmatch(err.Error()); m != nil {
			// The pattern has two forms of a place and only one of them matches, so of each pair one text is empty.
			line, _ := strconv.Atoi(m[1] + m[3])
			col, _ := strconv.Atoi(m[2] + m[4])
			out.Start = p.offset(line, col)
		}
	}
	if err == io.EOF {
		out.Message = "the file is empty, YAML was expected"
	}
	out.End = min(out.Start+1, len(p.file.Data))
	return out
}

// offset gives the byte offset of a line and a column, both from 1; a column of 0 counts as 1.
func (p *yamlParser) offset(line, column int) int {
	start, _ := p.span(&yaml.Node{Kind: yaml.SequenceNode, Line: max(line, 1), Column: column})
	return start
}
