package lower

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// chain is a workflow of n nodes, each connected to the one before.
func chain(n int) string {
	var b strings.Builder
	b.WriteString(`{"version":0.4,"nodes":[{"id":1,"type":"LoadImage","mode":0,"inputs":[],"outputs":[{"name":"IMAGE","type":"IMAGE"}],"widgets_values":["a.png","image"]}`)
	for i := 2; i <= n; i++ {
		fmt.Fprintf(&b, `,{"id":%d,"type":"ImageScaleBy","mode":0,"inputs":[{"name":"image","type":"IMAGE","link":%d}],"outputs":[{"name":"IMAGE","type":"IMAGE"}],"widgets_values":["lanczos",1.5]}`, i, i)
	}
	b.WriteString(`],"links":[[2,1,0,2,0,"IMAGE"]`)
	for i := 3; i <= n; i++ {
		fmt.Fprintf(&b, `,[%d,%d,0,%d,0,"IMAGE"]`, i, i-1, i)
	}
	b.WriteString(`]}`)
	return b.String()
}

// instances is a workflow of n instances of a subgraph with ten nodes.
func instances(n int) string {
	var b strings.Builder
	b.WriteString(`{"version":0.4,"links":[],"nodes":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"type":"a","mode":0,"inputs":[{"name":"text","type":"STRING","widget":{"name":"text"},"link":null}],"outputs":[],"widgets_values":["text %d"]}`, i+1, i)
	}
	b.WriteString(`],"definitions":{"subgraphs":[{"id":"a","name":"A","version":1,"inputs":[{"id":"p","name":"text","type":"STRING","linkIds":[1]}],"outputs":[],
		"links":[{"id":1,"origin_id":-10,"origin_slot":0,"target_id":1,"target_slot":0,"type":"STRING"}],"nodes":[`)
	for i := range 10 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"type":"PrimitiveString","mode":0,"inputs":[{"name":"value","type":"STRING","widget":{"name":"value"}}],"outputs":[],"widgets_values":["x"]}`, i+1)
	}
	b.WriteString(`]}]}}`)
	return b.String()
}

// BenchmarkChain shows that the cost is linear in the nodes.
func BenchmarkChain(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000, 100_000} {
		benchmark(b, n, chain(n), n)
	}
}

// BenchmarkInstances shows that the cost is linear in the expanded nodes.
func BenchmarkInstances(b *testing.B) {
	for _, n := range []int{10, 100, 1_000, 10_000} {
		benchmark(b, 10*n, instances(n), 10*n)
	}
}

func benchmark(b *testing.B, n int, text string, perOp int) {
	cat := nodes.BuiltIn()
	v := parse(b, text)
	b.Run(fmt.Sprint(n), func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, findings, ok := Lower(v, cat, Options{}); !ok {
				b.Fatal(findings)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(perOp), "ns/node")
	})
}

// BenchmarkTruth converts all cases of the real frontend, parsed before.
func BenchmarkTruth(b *testing.B) {
	cat := truthCatalogue(b)
	files, _ := filepath.Glob(filepath.Join(truthDir(b), "ui2api", "*.json"))
	var cases []*source.Value
	for _, f := range files {
		cases = append(cases, parseFile(b, f).Get("workflow"))
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, v := range cases {
			Lower(v, cat, Options{})
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(len(cases)), "µs/workflow")
}
