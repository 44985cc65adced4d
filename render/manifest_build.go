package render

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/scheduler"
)

// Batch is what a manifest is built from: a plan and what became of it so far.
type Batch struct {
	Name             string
	Plan             string    // the plan's hash in hex
	Created, Updated time.Time // the batch's first start, and now
	Command          string    // see Manifest.Command; "" if there is none
	Retry, Resubmit  string    // see Manifest.Retry
	Running          bool
	Layout           Layout
	Axes             []compiler.Axis
	// Coordinates is how many points the sweep has, Coordinate gives one of them.
	Coordinates int
	Coordinate  func(i int) compiler.Coordinate
	// Params gives the id of a render and what its graph says: prompts, seed, settings.
	Params func(render int) (compiler.RenderID, compiler.Params)
	// Graphs are the graphs that renders share, nil to leave them out. Values gives the values that a render has in one of them, and its
	// index, -1 for none; it is asked only if there are Graphs.
	Graphs []Graph
	Values func(render int) (graph int, values []GraphValue)
	// Record gives what is known of a render's run; ok is false if it never left Waiting.
	Record func(render int) (record scheduler.Record, ok bool)
}

// Build makes the manifest of a batch. Equal batches give equal manifests.
func Build(b Batch) *Manifest {
	m := &Manifest{
		Version: ManifestVersion, Name: b.Name, Plan: b.Plan, Command: b.Command, Retry: b.Retry, Resubmit: b.Resubmit, Running: b.Running, Gallery: b.Layout, Graphs: b.Graphs,
		Created: b.Created.UTC().Format(time.RFC3339), Updated: b.Updated.UTC().Format(time.RFC3339),
		Axes: make([]Axis, len(b.Axes)), Cells: make([]Cell, 0, b.Coordinates),
	}
	for i, a := range b.Axes {
		m.Axes[i] = axisOf(a)
	}
	for i := range b.Coordinates {
		m.Cells = append(m.Cells, b.cell(m.Axes, b.Coordinate(i)))
	}
	slices.SortStableFunc(m.Cells, func(a, b Cell) int { return compareCells(&a, &b) })
	m.Tally()
	return m
}

// axisOf copies an axis; labels that stand there twice are numbered, since cells refer
// to them.
func axisOf(a compiler.Axis) Axis {
	out := Axis{Name: a.Name, Addresses: slices.Clone(a.Addresses), Values: make([]AxisValue, len(a.Values)), Role: roleOf(a)}
	seen := make(map[string]int, len(a.Values))
	for i, v := range a.Values {
		label := v.Label
		// A numbered label may be there too, as an author's own: then the next number.
		for seen[label] > 0 {
			seen[v.Label]++
			label = fmt.Sprintf("%s (%d)", v.Label, seen[v.Label])
		}
		seen[label]++
		out.Values[i].Label = label
		if text := valueText(v.Value); text != label {
			out.Values[i].Value = text
		}
		if v.Value != nil && v.Value.Kind != source.String {
			out.Values[i].JSON = string(v.Value.AppendJSON(nil))
		}
	}
	return out
}

// Names of inputs that mean the same in all nodes that have them.
var (
	seedInputs = []string{"seed", "noise_seed"}
	textInputs = []string{"text", "text_g", "text_l", "clip_l", "clip_g", "t5xxl", "llama", "prompt", "user_prompt", "positive_prompt"}
)

// roleOf tells an axis's meaning by the input that it drives.
func roleOf(a compiler.Axis) string {
	for _, address := range a.Addresses {
		// "9.steps" drives steps; of "format.codec" only the last part says what it is.
		input := address[strings.LastIndexByte(address, '.')+1:]
		switch {
		case slices.Contains(seedInputs, input):
			return "seed"
		case slices.Contains(textInputs, input):
			return "prompt"
		case strings.HasPrefix(input, "image") || strings.HasPrefix(input, "video") || strings.HasPrefix(input, "audio"):
			return "file"
		// ckpt_name, lora_name, vae_name, … name model files; samplers are no files.
		case strings.HasSuffix(input, "_name") && input != "sampler_name":
			return "model"
		}
	}
	if len(a.Values) == 0 {
		return ""
	}
	// An axis of numbers can be drawn as a scale; one other value among them makes it a list of choices.
	for _, v := range a.Values {
		if v.Value == nil || v.Value.Kind != source.Number {
			return "choice"
		}
	}
	return "number"
}

// valueText is a value as a person writes it.
func valueText(v *source.Value) string {
	switch {
	case v == nil:
		return ""
	case v.Kind == source.String || v.Kind == source.Number:
		return v.Text
	}
	return string(v.AppendJSON(nil))
}

// cell joins a coordinate with its render's graph and record.
func (b *Batch) cell(axes []Axis, co compiler.Coordinate) Cell {
	id, p := b.Params(co.Render)
	c := Cell{
		ID: co.ID, Index: co.Index, Render: hex.EncodeToString(id[:]), State: StateWaiting,
		Coordinates: make(map[string]string, len(axes)),
		Prompt:      p.Positive, Negative: p.Negative, Seed: p.Seed,
	}
	for _, s := range p.Settings {
		c.Params = append(c.Params, Param{s.Name, s.Value})
	}
	for i, v := range co.Values {
		if i < len(axes) && v >= 0 && v < len(axes[i].Values) {
			c.Coordinates[axes[i].Name] = axes[i].Values[v].Label
		}
	}
	if len(b.Graphs) > 0 {
		c.Graph, c.Set = b.Values(co.Render)
		c.Set = besidesAxes(axes, c.Coordinates, c.Set)
	}
	if r, ok := b.Record(co.Render); ok {
		c.add(r)
	}
	return c
}

// add takes over what is known of the render's run.
func (c *Cell) add(r scheduler.Record) {
	// The scheduler's states have the same words; see States.
	c.State, c.Error = State(r.State.String()), r.Reason
	c.Endpoint, c.GPU, c.Worker = r.Endpoint, r.GPU, r.Worker
	c.Seconds, c.CostUSD, c.Attempts = r.Seconds, r.CostUSD, r.Attempts
	if len(r.Files) > 0 {
		c.Reused = r.Files[0].Reused
	}
	for _, f := range r.Files {
		c.Files = append(c.Files, File{
			Path: f.Path, Original: f.Original, Variant: f.Variant, Thumb: f.Thumb, Node: f.Node, Title: f.Title, Type: f.Type, Kind: kindOf(f.Type),
			Width: f.Width, Height: f.Height, Bytes: f.Bytes, SHA256: f.SHA256, Metadata: f.Metadata, Text: f.Text, Note: f.Note, Preview: f.Preview,
		})
	}
}

// kindOf tells how a file of a type that [DetectType] gave can be shown.
func kindOf(mime string) Kind {
	for _, s := range signatures {
		if s.MIME == mime {
			return s.Kind
		}
	}
	if mime == "text/plain" || mime == "application/json" {
		return KindText
	}
	return KindOther
}

// besidesAxes leaves out the values that follow from the axes.
func besidesAxes(axes []Axis, at map[string]string, values []GraphValue) []GraphValue {
	return slices.DeleteFunc(values, func(v GraphValue) bool {
		for _, a := range axes {
			if slices.Contains(a.Addresses, v.Node+"."+v.Input) {
				return a.json(at[a.Name]) == v.JSON
			}
		}
		return false
	})
}

// json is the value behind a label as JSON text, "" if there is none.
func (a Axis) json(label string) string {
	for _, v := range a.Values {
		switch {
		case v.Label != label:
			continue
		case v.JSON != "":
			return v.JSON
		case v.Value != "":
			label = v.Value
		}
		return string(source.NewString(label).AppendJSON(nil))
	}
	return ""
}

// ParseGraph reads a prompt in API form, as it is sent.
func ParseGraph(prompt []byte) (Graph, error) {
	root, err := source.ParseJSON(source.NewFile("prompt", prompt), source.Limits{})
	if err != nil {
		return nil, err
	}
	g := make(Graph, 0, len(root.Members))
	for _, m := range root.Members {
		n := GraphNode{ID: m.Key, Class: m.Value.Get("class_type").Str(), Title: m.Value.Get("_meta").Get("title").Str(), Inputs: [][2]string{}}
		if inputs := m.Value.Get("inputs"); inputs != nil {
			for _, in := range inputs.Members {
				n.Inputs = append(n.Inputs, [2]string{in.Key, string(in.Value.AppendJSON(nil))})
			}
		}
		g = append(g, n)
	}
	return g, nil
}
