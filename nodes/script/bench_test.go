package script

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// twenty is a template of twenty nodes: ten images, each inverted.
const twenty = `template({ name: "T", inputs: { a: "INT" }, outputs: { image: "IMAGE" },
  expand(g, { a }) {
    let last;
    for (let i = 0; i < 10; i++) {
      const image = g.EmptyImage({ width: 64 + a, height: 64, batch_size: 1, color: i });
      last = g.ImageInvert({ image });
    }
    return { image: last };
  } });`

// BenchmarkExpand expands twenty nodes with inputs that were not seen before. Goal: below 150 µs in process.
func BenchmarkExpand(b *testing.B) {
	for _, tc := range []struct {
		name string
		opt  Options
	}{{"in process", Options{InProcess: true}}, {"child", childOptions}} {
		b.Run(tc.name, func(b *testing.B) {
			s := load(b, tc.opt, "t.js", twenty)
			n := 0
			for b.Loop() {
				n++
				p := prompt(b, fmt.Sprintf(`{"5": {"class_type": "T", "inputs": {"a": %d}}}`, n))
				if e, findings := s.Expand(context.Background(), p); e == nil || len(e.Prompt.Members) != 20 {
					b.Fatal(printed(findings))
				}
			}
		})
	}
}

// BenchmarkRemembered expands twenty nodes with the same inputs again.
func BenchmarkRemembered(b *testing.B) {
	s := load(b, Options{InProcess: true}, "t.js", twenty)
	p := prompt(b, strings.ReplaceAll(`{"5": {"class_type": "T", "inputs": {"a": 1}}}`, "\n", ""))
	for b.Loop() {
		if e, _ := s.Expand(context.Background(), p); e == nil {
			b.Fatal("not expanded")
		}
	}
}
