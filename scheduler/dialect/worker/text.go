package worker

import (
	"encoding/json"
	"strings"
)

// Text reads a text out of JSON: a string, the message of an error object, or a list's texts in lines. What is none of them is given
// as it stands; null and nothing are "".
func Text(raw json.RawMessage) string {
	if len(raw) == 0 || string(raw) == "null" || string(raw) == "false" {
		return ""
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return shorten(unpack(strings.TrimSpace(text)), 4*maxText)
	}
	var object struct {
		Message json.RawMessage `json:"message"`
		Error   json.RawMessage `json:"error"`
	}
	if json.Unmarshal(raw, &object) == nil {
		for _, inner := range []json.RawMessage{object.Message, object.Error} {
			if text := Text(inner); text != "" {
				return text
			}
		}
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil {
		return strings.Join(Texts(raw), "\n")
	}
	return shorten(string(raw), maxText)
}

// unpack takes apart the JSON that the platform's worker library makes of an exception: its type and message, without the traceback.
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
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		list = []json.RawMessage{raw}
	}
	var texts []string
	for _, item := range list[:min(len(list), maxProblems)] {
		if text := strings.TrimSpace(Text(item)); text != "" {
			texts = append(texts, shorten(text, maxText))
		}
	}
	return texts
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
