package worker

import (
	"bytes"
	"encoding/json"
	"strings"
)

// maxDepth is how far Text looks into lists and objects. Each level is parsed once more, so an answer of nothing but brackets would otherwise
// cost its length times its depth.
const maxDepth = 8

// Text reads a text out of JSON: a string, the message of an error object, or a list's texts in lines. What is none of them, or lies deeper than
// eight levels, is given as it stands; null and nothing are "".
func Text(raw json.RawMessage) string { return textAt(raw, maxDepth) }

// textAt is Text with the levels that are left.
func textAt(raw json.RawMessage, levels int) string {
	// "error": false is how some services say that there is none.
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || string(raw) == "null" || string(raw) == "false" {
		return ""
	}
	found, ok := "", false
	switch raw[0] {
	case '"':
		var text string
		if ok = json.Unmarshal(raw, &text) == nil; ok {
			found = shorten(unpack(strings.TrimSpace(text)), 4*maxText)
		}
	case '{':
		found = member(raw, levels)
		ok = found != ""
	case '[':
		var texts []string
		if texts, ok = listed(raw, levels); ok {
			found = strings.Join(texts, "\n")
		}
	}
	if !ok {
		return shorten(string(raw), maxText)
	}
	return found
}

// member is the text of an error object, "" if it has none.
func member(raw json.RawMessage, levels int) string {
	var object struct {
		Message json.RawMessage `json:"message"`
		Error   json.RawMessage `json:"error"`
	}
	if levels == 0 || json.Unmarshal(raw, &object) != nil {
		return ""
	}
	for _, inner := range []json.RawMessage{object.Message, object.Error} {
		if text := textAt(inner, levels-1); text != "" {
			return text
		}
	}
	return ""
}

// listed gives the texts of a list's first items, without empty ones. It is false for what is no list, or lies too deep.
func listed(raw json.RawMessage, levels int) (texts []string, ok bool) {
	var list []json.RawMessage
	if levels == 0 || json.Unmarshal(raw, &list) != nil {
		return nil, false
	}
	for _, item := range list[:min(len(list), maxProblems)] {
		if text := strings.TrimSpace(textAt(item, levels-1)); text != "" {
			texts = append(texts, shorten(text, maxText))
		}
	}
	return texts, true
}

// unpack takes apart the JSON that the platform's worker library makes of an exception: its type and message, without the traceback.
// {"error_type": "<class 'ValueError'>", "error_message": "bad seed", …} becomes "ValueError: bad seed".
func unpack(text string) string {
	var e struct {
		Type    string `json:"error_type"`
		Message string `json:"error_message"`
	}
	if !strings.HasPrefix(text, `{"`) || json.Unmarshal([]byte(text), &e) != nil || e.Message == "" {
		return text
	}
	kind := strings.TrimSuffix(strings.TrimPrefix(e.Type, "<class '"), "'>")
	return first(kind, "exception") + ": " + e.Message
}

// Texts reads a list of texts; a single one is a list of one. Empty ones are left out.
func Texts(raw json.RawMessage) []string {
	if texts, ok := listed(raw, maxDepth); ok {
		return texts
	}
	if text := strings.TrimSpace(Text(raw)); text != "" {
		return []string{shorten(text, maxText)}
	}
	return nil
}

// Empty tells whether a member of an answer holds nothing: it is missing, null, or an empty text, list or object.
func Empty(raw []byte) bool {
	switch string(bytes.TrimSpace(raw)) {
	case "", "null", `""`, "[]", "{}":
		return true
	}
	return false
}

// join adds texts after colons, within a bound.
func join(text string, more []string) string {
	for _, m := range more {
		if m != "" {
			text += ": " + m
		}
	}
	return shorten(text, 4*maxText)
}

// shorten cuts at a character's boundary.
func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}
