package compiler

import (
	"fmt"
	"strings"

	"github.com/comfyc/comfyc/compiler/source"
)

// Bounds of what a report prints of expanded prompts.
const (
	firstPrompts = 6
	firstLetters = 60
)

// text prints what is asked, or was answered, of the first prompts.
func (r *ExpansionReport) text(b *strings.Builder) {
	if r == nil {
		return
	}
	fmt.Fprintf(b, "prompts: %s of %s writes %s for each of %s", r.Model, r.Endpoint, plural(r.Count, "text"), plural(len(r.Prompts), "prompt"))
	switch r.Missing {
	case 0:
		fmt.Fprintf(b, "; stored in %s\n", r.File)
	case len(r.Prompts):
		b.WriteString("; not asked yet\n")
	default:
		fmt.Fprintf(b, "; %d not asked yet, the others are stored in %s\n", r.Missing, r.File)
	}
	for i, p := range r.Prompts {
		if i == firstPrompts {
			fmt.Fprintf(b, "  … and %d more\n", len(r.Prompts)-i)
			break
		}
		first := "not asked yet"
		if len(p.Texts) > 0 {
			first = clipped(p.Texts[0])
		}
		fmt.Fprintf(b, "  %s → %s\n", clipped(p.Prompt), first)
	}
}

// clipped prints the beginning of a text in quotes, on one line.
func clipped(text string) string {
	letters := []rune(text)
	if len(letters) > firstLetters {
		return fmt.Sprintf("%q…", string(letters[:firstLetters]))
	}
	return fmt.Sprintf("%q", text)
}

// toValue writes all prompts, uncut.
func (r *ExpansionReport) toValue() *source.Value {
	o := &object{}
	o.text("endpoint", r.Endpoint)
	o.text("model", r.Model)
	o.number("count", r.Count)
	o.text("file", r.File)
	o.number("missing", r.Missing)
	prompts := source.NewArray()
	for _, p := range r.Prompts {
		x := &object{}
		x.text("prompt", p.Prompt)
		x.texts("texts", p.Texts)
		prompts.Items = append(prompts.Items, x.value())
	}
	o.put("prompts", prompts)
	return o.value()
}
