package cli

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/graph"
	"github.com/comfyc/comfyc/compiler/source"
)

// firstBatch writes the text of batch.yaml for a workflow. It is compiled before it is given, so that what init writes works.
// dir is where the batch will lie, workflow its path from there. Two passes of the compiler run: over the bare workflow, for
// what it offers, and over the text with the sweep.
func (e *Env) firstBatch(ctx context.Context, dir, workflow string, f *initFlags) (string, error) {
	base, err := compiler.BatchText(workflow, f.set, nil)
	if err != nil {
		return "", exitf(exitUsage, "%v", err)
	}
	plan, err := e.tryBatch(ctx, dir, string(base))
	if err != nil {
		return "", err
	}
	text := string(base)
	if f.name != "" {
		text = nameLine.ReplaceAllLiteralString(text, "\nname: "+plain(f.name)+"\n")
	}
	if f.endpoint != "preview" {
		text += "endpoints: [" + plain(f.endpointName()) + "]\n"
	}
	offers := offered(plan.Graph())
	chosen, err := f.axes(workflow, offers)
	if err != nil {
		return "", err
	}
	text += chosen + remarks(offers, chosen)
	text += "output: {dir: out}\n" // relative to the batch, in its folder
	// Compiled without the endpoints line: what is being written has no endpoints file beside it yet.
	if _, err := e.tryBatch(ctx, dir, previewed(text)); err != nil {
		return "", err
	}
	return text, nil
}

// BatchText always writes a name of its own, from the workflow's file; this is the line that --name replaces.
var nameLine = regexp.MustCompile(`\nname: .*\n`)

// previewed is a batch without its endpoints, which may not be there yet.
// It works on lines because the text is ours: "endpoints: " at the start of a line stands there once.
func previewed(text string) string {
	var lines []string
	for _, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, "endpoints: ") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// tryBatch compiles a batch that is not written yet.
// It runs on the preview endpoint, so neither keys nor prices are asked for. Errors print with places in the text that is not
// written.
func (e *Env) tryBatch(ctx context.Context, dir, text string) (*compiler.Plan, error) {
	plan, findings := compiler.Compile(ctx, compiler.Source{File: source.NewFile("batch.yaml", []byte(text)), Dir: dir, Endpoints: []string{"preview"}, Env: e.lookup})
	if plan == nil {
		return nil, e.failed(findings)
	}
	return plan, nil
}

// axes is the text of the sweep: what the flags say, else four seeds; nothing for a workflow without a seed.
// Four seeds are enough to see what the sweep does, at the price of four renders.
func (f *initFlags) axes(workflow string, offers []offer) (string, error) {
	if len(f.sweep) > 0 {
		text, err := compiler.BatchText(workflow, nil, f.sweep)
		if err != nil {
			return "", exitf(exitUsage, "%v", err)
		}
		return string(text[strings.Index(string(text), "sweep:"):]), nil // BatchText gives a whole batch; its sweep is the last part
	}
	for _, o := range offers {
		if o.seed {
			return "sweep:\n  matrix:                                   # every combination is rendered\n    " + plain(o.address) + ": {random: 4}\n", nil
		}
	}
	return "# sweep:\n#   matrix:\n", nil // commented out, so that the offers below read as a sweep to be switched on
}

// remarks lists the offers that were not taken, as comments in the sweep.
// What is chosen is looked for as text, bare or quoted: the sweep may come from flags, whose form is the user's.
func remarks(offers []offer, chosen string) string {
	var b strings.Builder
	for _, o := range offers {
		if !strings.Contains(chosen, quote(o.address)+":") && !strings.Contains(chosen, " "+o.address+":") {
			fmt.Fprintf(&b, "#   %s: %s\n", plain(o.address), o.values)
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "# More to sweep, each with the value that it has now first:\n" + b.String()
}

// offer is an input that people sweep.
type offer struct { // CLASS.input, or ID.input where several nodes have the class
	address string
	values  string // YAML
	seed    bool   // takes {random: 4}, and is the default sweep
}

// maxOffers bounds the list, and maxOfferText the length of a prompt in it.
const maxOffers, maxOfferText = 24, 60

// offered finds the inputs of a graph that people sweep, in execution order.
// Links are not offered: only values that stand in the workflow. The list ends at 24, so that a batch of a huge workflow stays
// readable.
func offered(g *graph.Graph) (out []offer) {
	classes := map[string]int{} // how many nodes of each class: an address by class must fit one only
	for _, n := range g.Nodes {
		classes[n.Class]++
	}
	for _, at := range g.Order {
		n := &g.Nodes[at]
		node := n.Class
		if classes[n.Class] > 1 {
			node = n.ID
		}
		for i := range n.Inputs {
			in := &n.Inputs[i]
			if in.Linked() || in.Value == nil || len(out) == maxOffers {
				continue
			}
			if values, ok := suggestion(in); ok {
				out = append(out, offer{address: node + "." + in.Name, values: values, seed: in.Name == "seed" || in.Name == "noise_seed"})
			}
		}
	}
	return out
}

// suggestion gives values to sweep an input over; ok is false for inputs that are seldom swept.
// The first value is always the present one, so that one column of the gallery is the workflow as it is.
func suggestion(in *graph.Input) (values string, ok bool) {
	now := string(in.Value.AppendJSON(nil))
	switch in.Name {
	case "seed", "noise_seed":
		return "{random: 4}", true
	case "cfg", "guidance", "denoise", "steps", "strength_model":
		if v, err := strconv.ParseFloat(now, 64); err == nil && v > 0 {
			// 80 % of the value, of `steps` only where that is a whole number: 20 gives [20, 16], 28 is not offered.
			return fmt.Sprintf("[%s, %s]", now, strconv.FormatFloat(v*0.8, 'g', 3, 64)), in.Name != "steps" || v*0.8 == float64(int(v*0.8))
		}
	case "sampler_name":
		return "[" + now + ", " + otherThan(now, "euler", "dpmpp_2m") + "]", true
	case "scheduler":
		return "[" + now + ", " + otherThan(now, "simple", "karras") + "]", true
	case "text", "clip_l", "t5xxl", "prompt":
		// Short prompts are shown; long ones only hinted at.
		if text := in.Value.Text; in.Value.Kind == source.String && text != "" && len(text) <= maxOfferText {
			return "[" + now + "]", true
		}
		return "[…]", in.Value.Kind == source.String && in.Value.Text != ""
	}
	return "", false
}

// otherThan gives the first word that is not the present value.
// now is in JSON form, quotes included, and so are the words it is compared with.
func otherThan(now string, words ...string) string {
	for _, w := range words {
		if quote(w) != now {
			return w
		}
	}
	return words[0]
}

// quote writes a JSON string, which YAML reads alike.
func quote(s string) string { return string(source.AppendQuoted(nil, s)) }

// plainText is what YAML reads as the same text without quotes.
// Words that start with a letter and hold no colon, space or sign that YAML gives a meaning to.
var plainText = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./-]*$`)

// plain quotes a text only if it must be.
// YAML 1.1 readers take yes, no, on and off for booleans, so these are quoted too.
func plain(s string) string {
	if plainText.MatchString(s) && !slices.Contains([]string{"true", "false", "null", "yes", "no", "on", "off"}, strings.ToLower(s)) {
		return s
	}
	return quote(s)
}
