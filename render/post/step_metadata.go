package post

import (
	"fmt"
	"slices"
)

// Metadata says which texts the written file carries. Without this step it carries those of
// the picture as it came (prompt and workflow, by which ComfyUI restores the graph): as
// text chunks in PNG, in EXIF in JPEG and WebP (see appendTIFF for the tags). Other
// metadata, such as a camera's, is never carried over.
type Metadata struct {
	// Mode is keep, strip or replace.
	Mode string `json:"mode"`
	// Text are the texts to write by their keys, for the mode replace. Tokens are replaced.
	Text map[string]string `json:"text,omitempty"`
}

// Name implements [Step].
func (Metadata) Name() string { return "metadata" }

// Check implements [Step].
func (m Metadata) Check() error {
	switch {
	case m.Mode != "keep" && m.Mode != "strip" && m.Mode != "replace":
		return fmt.Errorf("there is no mode %q, only keep, strip, replace", m.Mode)
	case (m.Mode == "replace") != (len(m.Text) > 0):
		return fmt.Errorf("text is needed by the mode replace, and by no other")
	case len(m.Text) > maxMetaTexts:
		return fmt.Errorf("at most %d texts are written", maxMetaTexts)
	}
	for _, key := range m.keys() {
		if err := checkKey(key); err != nil {
			return err
		}
		if len(m.Text[key]) > maxText {
			return fmt.Errorf("text %s is longer than %d bytes", key, maxText)
		}
	}
	return nil
}

// keys are sorted: the file's texts have the same order each time.
func (m Metadata) keys() (keys []string) {
	for key := range m.Text {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// tokens implements tokenUser.
func (m Metadata) tokens() (names []string) {
	for _, text := range m.Text {
		names = append(names, tokensOf(text)...)
	}
	return names
}

// Apply implements [Step].
func (m Metadata) Apply(p *Picture) error {
	if m.Mode == "keep" {
		return nil
	}
	p.Text = nil
	for _, key := range m.keys() {
		text, err := expand(m.Text[key], p.Lookup)
		if err != nil {
			return err
		}
		p.Text = append(p.Text, Text{key, text})
	}
	return nil
}
