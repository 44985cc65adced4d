package compiler

import (
	"strings"
	"testing"
)

const priced = `
workflow: ../examples/flux-dev/workflow.json
sweep: {matrix: {KSampler.seed: {random: 10}, KSampler.steps: [20, 40]}}
endpoints:
  - {name: pod, type: runpod, endpoint: {id: x}, gpu: rtx4090}
  - {name: fast, type: runpod, endpoint: {id: x}, gpu: h100, worker: "runpod/worker-comfyui:5.5.0-flux1-schnell"}
  - {name: nova, type: novita, endpoint: {id: x}, gpu: rtx4090}
  - preview
schedule: {retries: 1}
`

func TestEstimates(t *testing.T) {
	p, findings := compileIn(t, ".", priced, Source{})
	if p == nil {
		t.Fatal(print(findings))
	}
	e := p.Estimates()
	if len(e) != 4 {
		t.Fatal(e)
	}
	pod, fast, nova, preview := e[0], e[1], e[2], e[3]
	// 10 renders of 20 steps and 10 of 40: the sampler's 7.8 s count three times, the rest twice, for each pair.
	low := 10*(3*7.8+2*(13.65-7.8)) + 30
	if pod.Renders != 20 || pod.Seconds.Low < low-1 || pod.Seconds.Low > low+1 || pod.Seconds.High <= pod.Seconds.Low {
		t.Errorf("%+v, want %g", pod, low)
	}
	if usd := pod.Seconds.Low * 0.00031; pod.USD.Low != usd || !strings.Contains(strings.Join(pod.Reasons, "\n"), "as of 2026-08") {
		t.Errorf("%+v, want $%g", pod, usd)
	}
	if fast.Seconds.High >= pod.Seconds.High || fast.USD.Low <= pod.USD.Low {
		t.Errorf("an H100 is faster and costs more: %+v", fast)
	}
	if nova.Priced || nova.USD != (Range{}) || nova.Seconds != pod.Seconds {
		t.Errorf("%+v", nova)
	}
	if preview.Seconds != (Range{}) || !preview.Priced {
		t.Errorf("%+v", preview)
	}
	report := p.Report(ReportOptions{Supports: func(endpoint, class string) string {
		if endpoint == "preview" && class == "ConditioningZeroOut" {
			return "cannot be drawn"
		}
		return ""
	}, Done: func(id RenderID) bool { return id == p.RenderID(0) }})
	text := report.Text()
	for _, want := range []string{"20 renders, 1 of them done already", "cannot: ConditioningZeroOut: cannot be drawn",
		`cannot: endpoint fast lacks the model of input "unet_name" of UNETLoader: "flux1-dev.safetensors"`, "axis KSampler.steps: 2 values (20, 40), sets 13.steps"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

// Nothing is made up for models and GPUs of which no measurement is known.
func TestUnknownIsSaid(t *testing.T) {
	p, findings := compileIn(t, ".", "workflow: testdata/flow12.json\nset: {4.ckpt_name: mine.safetensors}\nendpoints: [{type: runpod, endpoint: {id: x}, gpu: rtx4090}]", Source{})
	if p == nil {
		t.Fatal(print(findings))
	}
	e := p.Estimates()[0]
	if e.Seconds != (Range{}) || e.USD != (Range{}) || !strings.Contains(e.Reasons[0], "not known") {
		t.Errorf("%+v", e)
	}
	_, findings = compileIn(t, ".", strings.Replace(priced, "retries: 1", "budget: {usd: 5}", 1), Source{})
	if text := print(findings); !strings.Contains(text, "[unknown_price]") || !strings.Contains(text, "endpoint nova") {
		t.Error(text)
	}
}
