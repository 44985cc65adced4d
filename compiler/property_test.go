package compiler

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// prefixes are what a job has of its own: the prefix of its outputs.
var prefixes = regexp.MustCompile(`"filename_prefix":"c[0-9a-f]{12}-`)

// Two coordinates share a render exactly if what would be sent for them is the same.
func TestEqualPromptsAreOneRender(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := drawBatch(t)
		p, findings := compileIn(failing{t, nil}, "testdata/bad", text, Source{})
		if p == nil {
			t.Fatalf("%s\n%s", text, print(findings))
		}
		byPrompt := map[string]int{}
		for i := range p.Coordinates() {
			r := p.Coordinate(i).Render
			prompt := prefixes.ReplaceAllString(promptAt(t, p, i), "")
			if first, ok := byPrompt[prompt]; ok && first != r {
				t.Fatalf("%s\ncoordinate %d is another render, but has the same prompt", text, i)
			} else if !ok {
				byPrompt[prompt] = r
			}
		}
		if len(byPrompt) != p.Len() {
			t.Fatalf("%s\n%d prompts, %d renders", text, len(byPrompt), p.Len())
		}
	})
}

// promptAt gives the job of a coordinate, made from the coordinate's own values and not from its render's first one.
func promptAt(t *rapid.T, p *Plan, coordinate int) string {
	own := *p.sweepOnly()
	own.renderOf, own.first, own.next = nil, nil, nil
	own.ids = make([]RenderID, p.Coordinates())
	j, err := own.Job(coordinate)
	if err != nil {
		t.Fatal(err)
	}
	return string(j.Prompt)
}

// sweepOnly copies what Job needs of a plan.
func (p *Plan) sweepOnly() *Plan {
	return &Plan{batch: p.batch, sweep: p.sweep, forms: p.forms, choice: p.choice, uploads: p.uploads}
}

// drawBatch makes a batch whose values often meet: few letters, numbers in several spellings, texts that join.
func drawBatch(t *rapid.T) string {
	list := func(name string, values ...string) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(values), 1, 4).Draw(t, name), ", ")
	}
	text := fmt.Sprintf("workflow: flow.json\nset: {6.text: \"${a}${b}\", 7.text: \"%s\"}\nsweep:\n  matrix:\n    a: [%s]\n    b: [%s]\n    cfg: [%s]\n",
		rapid.SampledFrom([]string{"x", "${a}"}).Draw(t, "negative"), list("a", "x", "xx", "y"), list("b", "x", "xx", `"${a}"`), list("cfg", "7", "7.0", "70e-1", "8"))
	if rapid.Bool().Draw(t, "zip") {
		text += "  zip: {KSampler.seed: [1, 2], KSampler.steps: [3, 3]}\n"
	}
	if rapid.Bool().Draw(t, "include") {
		text += "  include: [{a: x, b: y, KSampler.denoise: 0.5}, {a: z, b: x}]\n"
	}
	return text
}

// failing lends rapid's T to functions that take a testing.TB.
type failing struct {
	t *rapid.T
	testing.TB
}

// Helper does nothing: rapid finds the lines by itself.
func (failing) Helper() {}
