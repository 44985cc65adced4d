package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// The reader behind every message about JSON. It goes token by token through a decoder that knows the standard's grammar, and adds what that
// does not know: places, duplicate keys with both places, the limits, and Python's numbers that are not finite.

// strictJSON reads a text in the slow way, whose errors have words and places. [ParseJSON] comes here when its own reader refuses a text,
// so that there is one set of messages. If dry is true, no tree is kept: the value then only tells that the text is right.
func strictJSON(f *File, limits Limits, dry bool) (*Value, error) {
	p := &jsonParser{file: f, limits: limits, dry: dry}
	text := f.Data
	if bytes.HasPrefix(text, []byte(bom)) {
		p.base = len(bom)
		text = text[p.base:]
	}
	// The decoder must not stop at a duplicate key, for which we say more, nor at bytes that are not UTF-8, which ComfyUI takes as well.
	p.text = maskNonFinite(text)
	p.dec = jsontext.NewDecoder(bytes.NewBuffer(p.text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	// Offsets of the decoder count from behind the byte order mark; base brings them back to the file's.
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	if rest := p.skipSpace(v.End - p.base); rest < len(p.text) {
		return nil, p.fail(rest, rest+1, "syntax", "text after the end of the JSON value")
	}
	return v, nil
}

// jsonParser is the state of strictJSON.
// Methods give *Error; offsets named start, end or at are in text, and those in values are in the file.
type jsonParser struct {
	file   *File
	text   []byte // without byte order mark, masked
	base   int    // bytes of the byte order mark before text: 0 or 3
	dec    *jsontext.Decoder
	limits Limits
	values int
	dry    bool // keep no tree
}

// value reads the next value. Offsets in the decoder are relative to base.
func (p *jsonParser) value(depth int) (*Value, error) {
	tok, err := p.dec.ReadToken()
	if err != nil {
		return nil, p.syntax(err)
	}
	// The token has been read, so a place one byte before the decoder's is its last byte, whatever it is.
	if p.values++; p.values > p.limits.Values {
		at := int(p.dec.InputOffset())
		return nil, p.fail(at-1, at, "too_large", fmt.Sprintf("more than %d values", p.limits.Values))
	}
	if depth > p.limits.Depth {
		at := int(p.dec.InputOffset())
		return nil, p.fail(at-1, at, "too_deep", fmt.Sprintf("nested deeper than %d levels", p.limits.Depth))
	}
	end := int(p.dec.InputOffset())
	v := &Value{File: p.file, End: p.base + end}
	switch tok.Kind() {
	case 'n':
		// The decoder tells only where a token ends; where it began follows from its length.
		v.Start = v.End - 4
	case 't', 'f':
		v.Kind, v.Bool = Bool, tok.Bool()
		v.Start = v.End - len(tok.String())
	case '0':
		return v, p.number(v, tok.String(), end)
	case '"':
		p.str(v, tok, end)
	case '[':
		v.Kind, v.Start = Array, v.End-1
		return v, p.array(v, depth)
	case '{':
		v.Kind, v.Start = Object, v.End-1
		return v, p.object(v, depth)
	}
	return v, nil
}

// number keeps the text as it is written, so that no digit is lost; end is relative to base, as in fail.
func (p *jsonParser) number(v *Value, text string, end int) error {
	v.Kind, v.Text, v.Start = Number, text, v.End-len(text)
	if len(text) > maxNumberLength {
		return p.fail(end-len(text), end, "number_too_long", fmt.Sprintf("a number of %d characters; at most %d are read", len(text), maxNumberLength))
	}
	return nil
}

// str reads a string token; a masked NaN or infinity is recognised by the original bytes at its place.
func (p *jsonParser) str(v *Value, tok jsontext.Token, end int) {
	v.Kind, v.Text = String, tok.String()
	v.Start = p.base + stringStart(p.text, end)
	// A string in the file begins with a quote there, so the word NaN in quotes is not mistaken for the number.
	switch raw := string(p.file.Data[v.Start:v.End]); raw {
	case "NaN", "Infinity", "-Infinity":
		v.Kind, v.Text = Number, raw
	}
}

// stringStart finds the opening quote of the string that ends at end: the nearest quote before it which is not escaped. A quote is escaped if
// an odd number of backslashes stands before it: \\" ends a string, \" does not.
func stringStart(text []byte, end int) int {
	for i := end - 2; i >= 0; i-- {
		if text[i] != '"' {
			continue
		}
		slashes := 0
		for j := i - 1; j >= 0 && text[j] == '\\'; j-- {
			slashes++
		}
		if slashes%2 == 0 {
			return i
		}
	}
	return 0
}

// array reads up to the closing bracket. Commas are the decoder's business: a missing or a trailing one is its error at the next token.
func (p *jsonParser) array(v *Value, depth int) error {
	for {
		if p.dec.PeekKind() == ']' {
			_, err := p.dec.ReadToken()
			v.End = p.base + int(p.dec.InputOffset())
			return p.closing(err)
		}
		item, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		if !p.dry {
			v.Items = append(v.Items, item)
		}
	}
}

// object reads up to the closing brace. In a dry run the members are kept without their values: their keys are needed to find duplicates.
func (p *jsonParser) object(v *Value, depth int) error {
	var seen map[string]int
	for {
		if p.dec.PeekKind() == '}' {
			_, err := p.dec.ReadToken()
			v.End = p.base + int(p.dec.InputOffset())
			return p.closing(err)
		}
		tok, err := p.dec.ReadToken()
		if err != nil {
			return p.syntax(err)
		}
		end := int(p.dec.InputOffset())
		m := Member{Key: tok.String(), KeyStart: p.base + stringStart(p.text, end), KeyEnd: p.base + end}
		// The mask made a string of NaN, which the decoder then takes for a key; the file's own byte tells.
		if p.file.Data[m.KeyStart] != '"' { // NaN, masked
			return p.fail(m.KeyStart-p.base, end, "syntax", "not JSON: a key is a string")
		}
		if first := findMember(v, m.Key, &seen); first >= 0 {
			return p.duplicate(m, v.Members[first])
		}
		// A colon that is missing is the decoder's error here.
		if m.Value, err = p.value(depth + 1); err != nil {
			return err
		}
		if p.dry {
			m.Value = nil
		}
		v.Members = append(v.Members, m)
		if seen != nil {
			seen[m.Key] = len(v.Members) - 1
		}
	}
}

// findMember finds a key among the members read so far: by looking while they are few, by a map from then on, which the caller must keep
// filled. It gives the member's index, -1 if the key is new.
func findMember(v *Value, key string, seen *map[string]int) int {
	// Most objects are this small, and a map costs more than a few comparisons.
	if len(v.Members) < 16 {
		for i := range v.Members {
			if v.Members[i].Key == key {
				return i
			}
		}
		return -1
	}
	if *seen == nil {
		*seen = make(map[string]int, 64)
		for i := range v.Members {
			(*seen)[v.Members[i].Key] = i
		}
	}
	if i, ok := (*seen)[key]; ok {
		return i
	}
	return -1
}

// duplicate names both places. Python would take the last silently, which in a workflow hides half of an edit.
func (p *jsonParser) duplicate(m, first Member) error {
	return &Error{File: p.file, Start: m.KeyStart, End: m.KeyEnd, Code: "duplicate_key",
		Message: fmt.Sprintf("key %q is there twice", m.Key),
		Note:    "the first one is here", NoteStart: first.KeyStart, NoteEnd: first.KeyEnd}
}

// closing turns an error at a closing bracket, which is one of the wrong kind, into ours.
func (p *jsonParser) closing(err error) error {
	if err != nil {
		return p.syntax(err)
	}
	return nil
}

// fail makes an error of a range in p.text. The range may reach beyond the text, as behind its last byte; it is cut off there.
func (p *jsonParser) fail(start, end int, code, message string) error {
	start = min(max(start, 0), len(p.text))
	end = min(max(end, start), len(p.text))
	return &Error{File: p.file, Start: p.base + start, End: p.base + end, Code: code, Message: message}
}

// syntax turns the decoder's error into ours, at the byte where the text goes wrong.
func (p *jsonParser) syntax(err error) error {
	var syn *jsontext.SyntacticError
	// An end too early is shown at the end, not at the bracket that was left open.
	if errors.Is(err, io.ErrUnexpectedEOF) || err == io.EOF {
		what := "the JSON text ends too early"
		if len(bytes.TrimSpace(p.text)) == 0 {
			what = "the file is empty, JSON was expected"
		}
		return p.fail(len(p.text), len(p.text), "syntax", what)
	}
	if errors.As(err, &syn) {
		// The decoder's words name what it met and what it wanted; they are shown as they are.
		at := int(syn.ByteOffset)
		message := syn.Err.Error()
		// The decoder has a bound of its own, 10,000 levels, far above the default of Limits; a larger Limits.Depth meets it.
		if strings.Contains(message, "depth") {
			return p.fail(at, at+1, "too_deep", "nested too deep")
		}
		return p.fail(at, at+1, "syntax", "not JSON: "+message)
	}
	at := int(p.dec.InputOffset())
	return p.fail(at, at+1, "syntax", "not JSON: "+err.Error())
}

// skipSpace gives the offset of the first byte from at on that is no blank.
func (p *jsonParser) skipSpace(at int) int {
	for at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[at]) >= 0 {
		at++
	}
	return at
}

// maskNonFinite replaces NaN, Infinity and -Infinity outside of strings by strings of the same length, so that a reader of
// strict JSON passes them; the original text still tells them apart from strings.
//
// For example [NaN, "NaN", -Infinity] becomes ["x", "NaN", "xxxxxxx"]. No offset changes, and texts without these words are not copied.
func maskNonFinite(text []byte) []byte {
	// Prompts may hold these words too: then a copy is made for nothing, and nothing in it changes.
	if !bytes.Contains(text, []byte("NaN")) && !bytes.Contains(text, []byte("Infinity")) {
		return text
	}
	out := bytes.Clone(text)
	for i := 0; i < len(out); i++ {
		switch out[i] {
		case '"':
			i = endOfString(out, i)
		case 'N', 'I', '-':
			// A minus before a usual number is none of these words and stays.
			for _, word := range []string{"NaN", "-Infinity", "Infinity"} {
				if bytes.HasPrefix(out[i:], []byte(word)) {
					mask(out[i : i+len(word)])
					i += len(word) - 1
					break
				}
			}
		}
	}
	return out
}

// mask writes x between two quotes; the shortest word, NaN, has room for both.
func mask(word []byte) {
	for i := range word {
		word[i] = 'x'
	}
	word[0], word[len(word)-1] = '"', '"'
}

// endOfString gives the index of the quote that closes the string whose opening quote is at i, or one at or behind the end if none does.
func endOfString(text []byte, i int) int {
	for i++; i < len(text) && text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return i
}
