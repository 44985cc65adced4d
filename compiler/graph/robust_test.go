package graph

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// bigPrompt writes a prompt of n nodes: a wide part of samplers over shared loaders, as merged renders are.
func bigPrompt(n int) string {
	var b strings.Builder
	b.WriteString(`{"c": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "a.safetensors"}},
"p": {"class_type": "CLIPTextEncode", "inputs": {"text": "a fox", "clip": ["c", 1]}},
"l": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 512, "batch_size": 1}}`)
	for i := 3; i+2 < n; i += 3 {
		fmt.Fprintf(&b, `,
"k%d": {"class_type": "KSampler", "inputs": {"seed": %d, "steps": 20, "cfg": 7.5, "sampler_name": "euler", "scheduler": "normal", "denoise": 1, "model": ["c", 0], "positive": ["p", 0], "negative": ["p", 0], "latent_image": ["l", 0]}},
"v%d": {"class_type": "VAEDecode", "inputs": {"samples": ["k%d", 0], "vae": ["c", 2]}},
"s%d": {"class_type": "SaveImage", "inputs": {"filename_prefix": "fox%d", "images": ["v%d", 0]}}`, i, i, i, i, i, i, i)
	}
	b.WriteString("}")
	return b.String()
}

// chain writes n ImageInvert nodes in a row, the last of which is saved; with closed, the first takes the last one's output.
func chain(n int, closed bool) string {
	var b strings.Builder
	b.WriteString(`{"0": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}}`)
	for i := 1; i <= n; i++ {
		from := i - 1
		if i == 1 && closed {
			from = n
		}
		fmt.Fprintf(&b, `,"%d": {"class_type": "ImageInvert", "inputs": {"image": ["%d", 0]}}`, i, from)
	}
	fmt.Fprintf(&b, `,"s": {"class_type": "SaveImage", "inputs": {"filename_prefix": "x", "images": ["%d", 0]}}}`, n)
	return b.String()
}

func TestLongChains(t *testing.T) {
	g, v := Build(parse(t, "chain.json", chain(10_000, false)), nodes.BuiltIn(), Options{})
	if !v.Valid || len(g.Order) != 10_002 || g.Nodes[g.Order[0]].ID != "0" {
		t.Errorf("valid %v, %d nodes in order, %d findings", v.Valid, len(g.Order), len(v.Findings))
	}
	_, v = Build(parse(t, "ring.json", chain(10_000, true)), nodes.BuiltIn(), Options{})
	if v.Valid || len(v.Findings) != 10_000 || !strings.Contains(v.Findings[0].Message, "9988 more") {
		t.Errorf("valid %v, %d findings", v.Valid, len(v.Findings))
	}
}

// TestLinear builds prompts of growing size: ten times the nodes may take at most fifteen times the memory. BenchmarkShapes shows the time.
func TestLinear(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	for name, write := range wideShapes() {
		small, large := cost(parse(t, "few.json", write(3_000))), cost(parse(t, "many.json", write(30_000)))
		t.Logf("%s: %d KiB → %d KiB", name, small>>10, large>>10)
		if large > 15*small {
			t.Errorf("%s: 3,000 take %d bytes, 30,000 take %d", name, small, large)
		}
	}
}

// wideShapes are prompts that are large in one way each.
func wideShapes() map[string]func(n int) string {
	return map[string]func(n int) string{
		"wide":  bigPrompt,
		"chain": func(n int) string { return chain(n, false) },
		"dangling": func(n int) string {
			return `{"a": {"class_type": "PreviewAny", "inputs": {"source": 1}}, ` + chain(n, true)[1:]
		},
		"one node":    func(n int) string { return manyInputs(n, "nope") },
		"one dynamic": func(n int) string { return manyInputs(n, "images.image1") },
		"all bad":     func(n int) string { return strings.ReplaceAll(bigPrompt(n), `"euler"`, `"eulr"`) },
	}
}

// cost is the memory that a build asks for in all, in bytes.
func cost(v *source.Value) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	Build(v, nodes.BuiltIn(), Options{})
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// BenchmarkShapes shows that the time is linear in what a prompt holds.
func BenchmarkShapes(b *testing.B) {
	for name, write := range wideShapes() {
		for _, n := range []int{3_000, 30_000} {
			v := parse(b, "shape.json", write(n))
			b.Run(fmt.Sprintf("%s/%d", strings.ReplaceAll(name, " ", "_"), n), func(b *testing.B) {
				for b.Loop() {
					Build(v, nodes.BuiltIn(), Options{})
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/element")
			})
		}
	}
}

// manyInputs writes one node with n inputs that it does not have.
func manyInputs(n int, name string) string {
	var b strings.Builder
	b.WriteString(`{"1": {"class_type": "BatchImagesNode", "inputs": {"images.image0": ["2", 0]`)
	for i := range n {
		fmt.Fprintf(&b, `, "%s%d": 1`, name, i+100)
	}
	b.WriteString(`}}, "2": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
	"s": {"class_type": "SaveImage", "inputs": {"filename_prefix": "x", "images": ["1", 0]}}}`)
	return b.String()
}

// TestMangled changes single bytes and whole values of a good prompt: Build must answer, always with the same, and never without a reason.
func TestMangled(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	pool := []string{`null`, `true`, `[]`, `["3", 0]`, `["3", 99999999999999999999]`, `{}`, `"x"`, `1e400`, `NaN`, `{"__value__": [1]}`, `{"__value__": {"__value__": null}}`, `[[], {}]`}
	for range 3000 {
		v := parse(t, "m.json", sd15)
		node := &v.Members[rnd.IntN(len(v.Members))]
		into := node.Value
		if rnd.IntN(4) > 0 {
			into = into.Get("inputs")
		}
		into.Members[rnd.IntN(len(into.Members))].Value = parse(t, "pool.json", pool[rnd.IntN(len(pool))])
		checkAnswer(t, v)
	}
}

// checkAnswer holds what is true of every answer.
func checkAnswer(t testing.TB, v *source.Value) {
	t.Helper()
	g, a := Build(v, nodes.BuiltIn(), Options{})
	_, b := Build(v, nodes.BuiltIn(), Options{})
	if fmt.Sprint(codesOf(a.Findings), a.GoodOutputs, a.Valid) != fmt.Sprint(codesOf(b.Findings), b.GoodOutputs, b.Valid) {
		t.Fatalf("two answers to one prompt: %s", v.AppendJSON(nil))
	}
	errors := 0
	for _, d := range a.Findings {
		if d.Message == "" || d.Code == "" {
			t.Fatalf("an empty finding: %+v", d)
		}
		if d.Severity == 0 {
			errors++
		}
	}
	if a.Valid == (errors > 0) || a.Valid != (len(g.Outputs) > 0) {
		t.Fatalf("valid is %v with %d errors and %d outputs: %s", a.Valid, errors, len(g.Outputs), v.AppendJSON(nil))
	}
	at := make([]int, len(g.Nodes))
	for k, i := range g.Order {
		at[i] = k + 1
	}
	for _, i := range g.Order {
		for _, in := range g.Nodes[i].Inputs {
			if in.Linked() && in.Def != nil && (at[in.From] == 0 || at[in.From] > at[i]) {
				t.Fatalf("node %s runs before what it needs: %s", g.Nodes[i].ID, v.AppendJSON(nil))
			}
		}
	}
}

// FuzzBuild reads any text as a prompt. Memory is bounded by 64 MiB and a hundred times the input.
func FuzzBuild(f *testing.F) {
	f.Add([]byte(sd15))
	f.Add([]byte(twoOutputs))
	f.Add([]byte(fluxPrompt))
	f.Add([]byte(chain(3, true)))
	f.Add([]byte(manyInputs(3, "images.image")))
	f.Add([]byte(`{"1": {"class_type": "Load3D", "inputs": {"model_file": "x [temp]", "image": ["1", true]}}, "2": {"class_type": "ResizeImageMaskNode", "inputs": {"resize_type": 1}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := source.ParseJSON(source.NewFile("f.json", data), source.Limits{})
		if err != nil {
			return
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		checkAnswer(t, v)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20+100*uint64(len(data)) {
			t.Errorf("%d bytes of input took %d bytes of memory", len(data), used)
		}
	})
}

func benchmarkBuild(b *testing.B, n int) {
	v := parse(b, "big.json", bigPrompt(n))
	nodes.BuiltIn()
	b.ReportAllocs()
	for b.Loop() {
		if _, verdict := Build(v, nodes.BuiltIn(), Options{}); !verdict.Valid {
			b.Fatal(verdict.Findings)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/node")
}

func BenchmarkBuild200(b *testing.B)    { benchmarkBuild(b, 200) }
func BenchmarkBuild2000(b *testing.B)   { benchmarkBuild(b, 2_000) }
func BenchmarkBuild20000(b *testing.B)  { benchmarkBuild(b, 20_000) }
func BenchmarkBuild100000(b *testing.B) { benchmarkBuild(b, 100_000) }

// BenchmarkParseAndBuild2000 is the whole way from bytes to a verdict.
func BenchmarkParseAndBuild2000(b *testing.B) {
	text := bigPrompt(2_000)
	nodes.BuiltIn()
	b.ReportAllocs()
	for b.Loop() {
		v, err := source.ParseJSON(source.NewFile("big.json", []byte(text)), source.Limits{})
		if err != nil {
			b.Fatal(err)
		}
		Build(v, nodes.BuiltIn(), Options{})
	}
}
