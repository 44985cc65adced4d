package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes/script"
)

// nodesMade is how many nodes the measured template makes.
// Twenty is what a template of the usual kind makes: a second pass, with its scaling.
const nodesMade = 20

// twenty makes ten pictures and inverts each.
const twenty = `template({ name: "Twenty", inputs: { color: "INT" }, outputs: { image: "IMAGE" },
  expand(g, { color }) {
    let image;
    for (let i = 0; i < 10; i++) image = g.ImageInvert({ image: g.EmptyImage({ width: 64 + i, height: 64, batch_size: 1, color }) });
    return { image };
  } });`

// Inputs change each time, since equal ones are answered from a cache.
var templateCases = []Case{
	{Name: "Expand", What: "a template of 20 nodes expanded in process with inputs that were not seen before, against copying, setting and writing the JSON of the same nodes; in turn. " +
		"cpu-ns: processor time of the best round", Run: expandTemplate, Goals: []Goal{{Unit: "cpu-ns/expansion", Most: 150_000, Meaning: "under 150 µs"}}},
}

// expandTemplate expands a thousand distinct inputs, and does as many of the plain way.
// In process, since the pipe to the child process would be measured otherwise. The template is loaded once, as a batch does it.
func expandTemplate(_ *Env, b *testing.B) error {
	const times = 1000
	file := source.NewFile("twenty.js", []byte(twenty))
	set, findings := script.Load(context.Background(), []*source.File{file}, nil, script.Options{InProcess: true})
	if set == nil {
		return fmt.Errorf("the template is not loaded: %v", findings)
	}
	defer set.Close()
	var ours, plain, cpu []time.Duration
	color := 0
	for b.Loop() {
		start, before := time.Now(), processorTime()
		var made *source.Value
		for range times {
			e, findings := set.Expand(context.Background(), useOfTwenty(color))
			if e == nil || len(e.Prompt.Members) != nodesMade {
				return fmt.Errorf("not expanded: %v", findings)
			}
			color, made = color+1, e.Prompt // never the same color twice
		}
		ours, cpu = append(ours, time.Since(start)), append(cpu, processorTime()-before)
		text := made.AppendJSON(nil) // the nodes that ours made last
		start = time.Now()
		if err := copyAndSet(text, times); err != nil {
			return err
		}
		plain = append(plain, time.Since(start))
	}
	b.ReportMetric(float64(middle(ours))/times, "ns/expansion")
	b.ReportMetric(float64(slices.Min(cpu))/times, "cpu-ns/expansion")
	b.ReportMetric(float64(middle(plain))/times, "plain-ns/expansion")
	b.ReportMetric(float64(middle(plain))/float64(middle(ours)), "times")
	b.ReportMetric(0, "ns/op")
	return nil
}

// useOfTwenty is a prompt of one node that uses the template.
func useOfTwenty(color int) *source.Value {
	inputs := source.NewObject(source.Member{Key: "color", Value: source.NewInt(int64(color))})
	node := source.NewObject(source.Member{Key: "class_type", Value: source.NewString("Twenty")}, source.Member{Key: "inputs", Value: inputs})
	return source.NewObject(source.Member{Key: "1", Value: node})
}

// copyAndSet does what a script would that has no templates: a deep copy of the nodes by way of their JSON, a value set in ten of them, their JSON again.
// The class and all other inputs pass through untouched, which is less than a template does.
func copyAndSet(nodes []byte, times int) error {
	for i := range times {
		var prompt map[string]struct {
			Class  string         `json:"class_type"`
			Inputs map[string]any `json:"inputs"`
		}
		if err := json.Unmarshal(nodes, &prompt); err != nil {
			return err
		}
		for _, node := range prompt {
			if _, ok := node.Inputs["color"]; ok {
				node.Inputs["color"] = i
			}
		}
		if _, err := json.Marshal(prompt); err != nil {
			return err
		}
	}
	return nil
}
