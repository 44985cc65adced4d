// Prompts that a language model writes on. What it answers is kept in a file beside the batch, and the
// compilation reads only that file: so equal files still give equal plans, and nothing is asked twice.

package compiler

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/prompt"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/compiler/sweep"
)

// chooseExpanded marks the groups whose texts a language model expands: those that `of` names, else the only one, else those that lead to the
// positive conditioning.
func (p *prompting) chooseExpanded(groups []*promptGroup) {
	e := p.batch.Prompts.Expand
	if e == nil {
		return
	}
	if e.Of != nil {
		for _, v := range oneOrMany(e.at.Get("of")) {
			p.markNamed(groups, v)
		}
		return
	}
	positive := p.positives()
	found := false
	for _, g := range groups {
		g.expand = len(groups) == 1 || slices.ContainsFunc(g.slots, func(i int) bool { return slices.Contains(positive, p.values.slots[i].target) })
		found = found || g.expand
	}
	if !found {
		var names []string
		for _, g := range groups {
			names = append(names, strings.TrimSuffix(g.name, "#"))
		}
		p.list.Add(diag.Errorf("expansion_prompt", diag.Of(e.at), "it cannot be told which prompt is to be expanded").
			Hinted("say of: [NAME]; the prompts here are " + joined(names)))
	}
}

// markNamed marks the group that an axis' name or an address means.
func (p *prompting) markNamed(groups []*promptGroup, v *source.Value) {
	u := p.use(v.Text)
	for _, g := range groups {
		if axis := p.values.slots[g.slots[0]].axis; u != nil && axis >= 0 && p.values.axes[axis].Name == v.Text {
			g.expand = true
			return
		}
	}
	if u != nil {
		p.list.Add(diag.Errorf("expansion_prompt", diag.Of(v), "axis %q sets no prompt, so there is nothing to expand", v.Text))
		return
	}
	found, err := p.targets(v.Text)
	if err != nil {
		p.list.Add(err.finding(diag.Of(v)))
		return
	}
	for _, g := range groups {
		for _, i := range g.slots {
			if slices.Contains(found, p.values.slots[i].target) {
				g.expand = true
				return
			}
		}
	}
	p.list.Add(diag.Errorf("expansion_prompt", diag.Of(v), "%s is no prompt", found[0].address(p.graph)))
}

// positives lists the inputs whose texts lead to the positive conditioning of an output.
func (p *prompting) positives() (out []target) {
	for _, i := range p.graph.Outputs {
		for _, ref := range p.form.texts(backwards(p.graph, i), "positive") {
			out = append(out, target{ref.node, p.graph.Nodes[ref.node].Inputs[ref.index].Name})
		}
	}
	return out
}

// expandTexts lets the texts of the expanded groups be replaced by what a language model makes of them,
// in all sets. The sets were made of the batch's own texts and are rewritten in place.
func (p *prompting) expandTexts(sets []sweep.Variants) bool {
	e := p.batch.Prompts.Expand
	if e == nil {
		return true
	}
	prompts, ok := p.questions()
	if !ok {
		return false
	}
	a := p.readAnswers()
	if a == nil || !p.askMissing(a, prompts) {
		return false
	}
	for k, g := range p.groups {
		if g.expand {
			spread(sets, k, p.answered(g, a))
		}
	}
	return !p.list.Failed()
}

// questions lists the distinct prompts that are to be expanded, in the order of the sweep; empty ones are
// none. False after a finding.
func (p *prompting) questions() (prompts []*source.Value, ok bool) {
	seen := map[string]bool{}
	for _, g := range p.groups {
		if !g.expand {
			continue
		}
		for _, v := range g.values {
			if v.Value.Kind != source.String || strings.TrimSpace(v.Value.Text) == "" || seen[v.Value.Text] {
				continue
			}
			seen[v.Value.Text] = true
			prompts = append(prompts, v.Value)
			if len(v.Value.Text) > maxQuestionText {
				p.list.Add(diag.Errorf("expansion_prompt", diag.Of(v.Value), "a prompt of %d bytes is too long to be expanded; %d are allowed", len(v.Value.Text), maxQuestionText))
			}
		}
	}
	if len(prompts) > maxQuestions {
		p.list.Add(diag.Errorf("expansion_prompt", diag.Of(p.batch.Prompts.Expand.at), "%d different prompts would be expanded; at most %d are", len(prompts), maxQuestions).
			Hinted("mode: random with a count draws some of them"))
	}
	return prompts, !p.list.Failed()
}

// askMissing asks for what is not stored. Where nothing may be asked (plan, previews), placeholders stand for the answers.
func (p *prompting) askMissing(a *answers, prompts []*source.Value) bool {
	e := p.batch.Prompts.Expand
	r := &ExpansionReport{Endpoint: e.Endpoint, Model: e.Model, Count: e.Count, File: a.name}
	p.expansionReport = r
	var missing []*source.Value
	for _, v := range prompts {
		if _, stored := a.stored[p.questionKey(v.Text)]; !stored {
			missing = append(missing, v)
		}
	}
	if len(missing) > 0 && p.mayAsk(len(missing)) && !p.ask(a, missing) {
		return false
	}
	for _, v := range prompts {
		stored, ok := a.stored[p.questionKey(v.Text)]
		if !ok {
			r.Missing++
		}
		r.Prompts = append(r.Prompts, ExpandedPrompt{v.Text, stored.Texts})
	}
	return true
}

// questionKey names the question that a prompt is, as the file of answers does.
func (p *prompting) questionKey(text string) string {
	return p.batch.Prompts.Expand.key(text, p.batch.Seed)
}

// mayAsk tells whether the model is asked now. A preview costs nothing, so it does not ask by itself either.
func (p *prompting) mayAsk(missing int) bool {
	e := p.batch.Prompts.Expand
	preview := !slices.ContainsFunc(p.configs, func(c EndpointConfig) bool { return c.Type != previewName })
	switch {
	case p.src.Asker != nil && !(p.src.Run && preview):
		before := p.list.Errors()
		p.checkKeyFor(p.expander, p.expanderAt, true)
		return p.list.Errors() == before
	case p.src.Run && !preview:
		p.list.Add(diag.Errorf("expansion_not_asked", diag.Of(e.at), "%s not expanded yet, and there is nobody here to ask", areWord(missing)))
		return false
	}
	p.list.Add(diag.Warnf("expansion_not_asked", diag.Of(e.at), "%s not expanded yet; placeholders stand for the %d of each that %s is to write", areWord(missing), e.Count, e.Model).
		Hinted("plan --expand asks; so does render on an endpoint that is no preview"))
	return false
}

// areWord is "1 prompt is" or "2 prompts are".
func areWord(n int) string {
	if n == 1 {
		return "1 prompt is"
	}
	return plural(n, "prompt") + " are"
}

// saveEvery is after how many answers the file is written: so many at most are asked again after a crash.
const saveEvery = 8

// ask puts the questions and stores what comes. What was answered is kept also if something else goes
// wrong. Answers come from one goroutine at a time, so nothing is locked here.
func (p *prompting) ask(a *answers, missing []*source.Value) bool {
	e := p.batch.Prompts.Expand
	questions := make([]Question, len(missing))
	for i, v := range missing {
		q := Question{Endpoint: p.expander, Model: e.Model, Instruction: e.Instruction, Prompt: v.Text, Count: e.Count, Temperature: e.Temperature, MaxTokens: e.MaxTokens, Timeout: e.Timeout}
		// 31 bits, as some servers take seeds as signed 32-bit numbers.
		q.Seed = uint64(binary.BigEndian.Uint32([]byte(p.questionKey(v.Text))) >> 1)
		questions[i] = q
	}
	got := 0
	p.src.Asker.Ask(p.ctx, questions, func(i int, texts []string, err error) {
		if err == nil && len(texts) == 0 {
			err = &AskError{Code: "expansion_answer", Message: "the answer holds no texts"}
		}
		if err != nil {
			p.list.Add(askFinding(err, missing[i], e))
			return
		}
		a.stored[p.questionKey(missing[i].Text)] = answer{Endpoint: e.Endpoint, Model: e.Model, Prompt: missing[i].Text, Texts: texts}
		if got++; got%saveEvery == 0 {
			p.keepAnswers(a)
		}
	})
	if got > 0 {
		p.keepAnswers(a)
	}
	if p.ctx.Err() != nil {
		p.list.Add(diag.Errorf("cancelled", diag.Place{}, "stopped before all prompts were expanded"))
	}
	return !p.list.Failed()
}

// keepAnswers writes the file, and reads it as any later run will: so the texts have their places in it.
func (p *prompting) keepAnswers(a *answers) {
	data := a.encode()
	if err := p.src.Asker.Keep(a.name, data); err != nil {
		p.list.Add(diag.Errorf("expansion_file", diag.Of(p.batch.Prompts.Expand.at), "the answers cannot be kept: %s", trouble(err)))
		return
	}
	p.parseAnswers(a, source.NewFile(p.files.locate(a.name), data))
}

// askFinding places what went wrong at the prompt, with a note at the endpoint.
func askFinding(err error, prompt *source.Value, e *PromptExpansion) diag.Diagnostic {
	d := diag.Errorf("expansion_failed", diag.Of(prompt), "%s could not be asked: %v", e.Endpoint, err)
	var known *AskError
	if errors.As(err, &known) {
		d = diag.Errorf(known.Code, diag.Of(prompt), "%s", known.Message).Hinted(known.Hint)
	}
	return d.Noted(e.place("endpoint"), "%s of %s was asked to expand this prompt", e.Model, e.Endpoint)
}

// answered puts the answers in the place of a group's texts. The k-th text becomes those from starts[k]
// to starts[k+1]; starts has one entry more than there were texts. A text that is empty or none stays.
func (p *prompting) answered(g *promptGroup, a *answers) (starts []int) {
	e := p.batch.Prompts.Expand
	var out []sweep.Value
	for _, v := range g.values {
		starts = append(starts, len(out))
		stored, ok := a.stored[p.questionKey(v.Value.Str())]
		switch asks := v.Value.Kind == source.String && strings.TrimSpace(v.Value.Text) != ""; {
		case !asks:
			out = append(out, v)
		case ok && e.Keep:
			out = append(append(out, v), p.textsOf(stored)...)
		case ok:
			out = append(out, p.textsOf(stored)...)
		default:
			out = append(out, placeholders(v, e)...)
		}
	}
	g.values = out
	return append(starts, len(out))
}

// placeholders stand for answers that have not been asked for.
func placeholders(v sweep.Value, e *PromptExpansion) (out []sweep.Value) {
	if e.Keep {
		out = append(out, v)
	}
	for k := range e.Count {
		out = append(out, textValue(fmt.Sprintf("%s (expansion %d of %d, not asked yet)", v.Value.Text, k+1, e.Count), v.Value))
	}
	return out
}

// textsOf gives the texts of an answer: as they are, or, if braces are dynamic there, what they stand for.
func (p *prompting) textsOf(stored answer) (out []sweep.Value) {
	for _, v := range stored.values {
		if !p.batch.Prompts.Expand.Dynamic {
			out = append(out, sweep.Value{Value: v, Label: v.Text})
			continue
		}
		t, findings := prompt.Parse(v, p.lib, prompt.Options{Reserved: p.reserved, Seed: p.batch.Seed})
		if p.list.Add(findings...); t == nil {
			continue
		}
		n, most := t.Count(), uint64(maxExpandCount)
		if p.batch.Prompts.Mode != "all" {
			most = 1
		}
		if n.IsUint64() {
			most = min(most, n.Uint64())
		}
		for k := range most {
			text := t.All(k)
			if p.batch.Prompts.Mode == "random" {
				text = t.Random(p.batch.Seed, int(k))
			}
			out = append(out, textValue(text, v))
		}
	}
	return out
}

// spread lets the values of axis k in all sets be those that came of them. A range of values becomes the
// range of all their answers; a row of draws one row for each answer.
func spread(sets []sweep.Variants, k int, starts []int) {
	for i := range sets {
		s := &sets[i]
		if s.Rows == nil {
			from := s.From[k]
			s.From[k], s.N[k] = starts[from], starts[from+s.N[k]]-starts[from]
			continue
		}
		var rows [][]int
		for _, row := range s.Rows {
			for v := starts[row[k]]; v < starts[row[k]+1]; v++ {
				rows = append(rows, slices.Clone(row))
				rows[len(rows)-1][k] = v
			}
		}
		s.Rows = rows
	}
}
