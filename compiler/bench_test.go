package compiler

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/comfyc/comfyc/compiler/source"
)

// sweepOf makes a batch of four axes over the 12 nodes of testdata/flow12.json.
func sweepOf(prompts, seeds, cfgs, samplers int) string {
	text := "workflow: flow12.json\nsweep:\n  matrix:\n    prompt: ["
	for i := range prompts {
		text += fmt.Sprintf("a red fox number %d in a snowy forest at golden hour, ", i)[:50] + fmt.Sprintf(" %d, ", i)
	}
	names := []string{"euler", "heun", "dpm_2", "lms", "ddim", "dpmpp_2m", "dpmpp_sde", "uni_pc", "euler_ancestral", "dpm_fast"}
	text += fmt.Sprintf("]\n    KSampler.seed: {from: 1, count: %d}\n    cfg: {from: 1, count: %d, step: 0.5}\n    sampler_name: [", seeds, cfgs)
	for i := range samplers {
		text += names[i] + ", "
	}
	return text + "]\nbind: {prompt: [6.text]}\n"
}

func compileBench(b testing.TB, text string) *Plan {
	p, findings := Compile(context.Background(), Source{File: source.NewFile("batch.yaml", []byte(text)), Dir: "testdata"})
	if p == nil {
		b.Fatal(print(findings))
	}
	return p
}

// BenchmarkPlan10000 is what `comfyc plan` does for 10,000 renders, without reading the program.
func BenchmarkPlan10000(b *testing.B) {
	text := sweepOf(10, 20, 10, 5)
	b.ReportAllocs()
	for b.Loop() {
		if n := compileBench(b, text).Len(); n != 10_000 {
			b.Fatal(n)
		}
	}
}

// BenchmarkHash is one render of 12 nodes and four axes: resolved and hashed.
func BenchmarkHash(b *testing.B) {
	p := compileBench(b, sweepOf(20, 50, 20, 10))
	h := newHasher(p.forms[0], maxAllMemo)
	at := make([]int, len(p.sweep.Axes))
	i := 0
	for b.Loop() {
		p.sweep.At(i%p.sweep.Len(), at)
		h.id(at)
		i++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "renders/s")
}

// BenchmarkNaive does the same the usual way: copy the prompt's JSON, set the values, write and hash it.
func BenchmarkNaive(b *testing.B) {
	text, err := os.ReadFile("testdata/flow12.json")
	if err != nil {
		b.Fatal(err)
	}
	i := 0
	for b.Loop() {
		var prompt map[string]map[string]any
		if err := json.Unmarshal(text, &prompt); err != nil {
			b.Fatal(err)
		}
		k := prompt["3"]["inputs"].(map[string]any)
		k["seed"], k["cfg"], k["sampler_name"] = i, float64(i%20), "euler"
		prompt["6"]["inputs"].(map[string]any)["text"] = fmt.Sprintf("a red fox %d", i)
		out, err := json.Marshal(prompt)
		if err != nil {
			b.Fatal(err)
		}
		appendText(nil, string(out))
		i++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "renders/s")
}

func BenchmarkJob(b *testing.B) {
	p := compileBench(b, sweepOf(10, 20, 10, 5))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := p.Job(i % p.Len()); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// TestPlanMemory holds that a plan of a million renders stays below 200 MB, with many axes and with one.
func TestPlanMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("a million renders take a few seconds")
	}
	for name, text := range map[string]string{
		"four axes": sweepOf(50, 100, 20, 10),
		"one axis":  "workflow: flow12.json\nsweep: {matrix: {KSampler.seed: {from: 1, count: 1000000}}}",
	} {
		var after runtime.MemStats
		debug.FreeOSMemory()
		before := resident()
		p := compileBench(t, text)
		peak := resident() - before
		runtime.GC()
		runtime.ReadMemStats(&after)
		if p.Len() != 1_000_000 {
			t.Fatal(p.Len())
		}
		t.Logf("%s: %d MB more after planning, %d MB in use", name, peak>>20, after.HeapAlloc>>20)
		if peak > 200<<20 {
			t.Errorf("%s: a plan of a million renders takes %d MB", name, peak>>20)
		}
		runtime.KeepAlive(p)
	}
}

// resident is the memory that the program has from the system and did not give back.
func resident() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys - m.HeapReleased)
}
