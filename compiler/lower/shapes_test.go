package lower

import (
	"fmt"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/nodes"
)

// list joins n pieces.
func list(n int, piece func(i int) string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(piece(i))
	}
	return b.String()
}

const (
	imageNode = `{"id":1,"type":"EmptyImage","outputs":[{"name":"IMAGE","type":"IMAGE"}],"widgets_values":[64,64,1,0]}`
	saveNode  = `{"id":2,"type":"SaveImage","inputs":[{"name":"images","type":"IMAGE","link":1}],"widgets_values":["out"]}`
)

// shapes are workflows that are large in one way each. None may cost more than its size.
var shapes = []struct {
	name string
	text func(n int) string
}{
	{"unknown values", func(n int) string {
		return `{"version":0.4,"links":[],"nodes":[{"id":1,"type":"Nothing","widgets_values":[` + list(n, func(i int) string { return "1" }) + `]}]}`
	}},
	{"unknown inputs", func(n int) string {
		return `{"version":0.4,"links":[` + list(n, func(i int) string { return fmt.Sprintf(`[%d,1,0,2,%d,"IMAGE"]`, i+1, i) }) + `],"nodes":[` + imageNode +
			`,{"id":2,"type":"Nothing","inputs":[` + list(n, func(i int) string { return fmt.Sprintf(`{"name":"i%d","type":"IMAGE","link":%d}`, i, i+1) }) + `]}]}`
	}},
	{"equal inputs", func(n int) string {
		return `{"version":0.4,"links":[],"nodes":[{"id":2,"type":"Nothing","inputs":[` +
			list(n, func(i int) string { return `{"name":"x","type":"IMAGE","widget":{"name":"x"}}` }) + `]}]}`
	}},
	{"known inputs", func(n int) string {
		return `{"version":0.4,"links":[` + list(n, func(i int) string { return fmt.Sprintf(`[%d,1,0,2,%d,"IMAGE"]`, i+1, i) }) + `],"nodes":[` + imageNode +
			`,{"id":2,"type":"SaveImage","inputs":[` + list(n, func(i int) string {
			return fmt.Sprintf(`{"name":"i%d","type":"IMAGE","link":%d,"widget":{"name":"i%d"}}`, i, i+1, i)
		}) + `]}]}`
	}},
	{"one input", func(n int) string {
		return `{"version":0.4,"links":[` + list(n, func(i int) string { return fmt.Sprintf(`[%d,1,0,2,0,"IMAGE"]`, i+1) }) + `],"nodes":[` + imageNode + `,` + saveNode + `]}`
	}},
	{"equal ids", func(n int) string {
		return `{"version":0.4,"links":[],"nodes":[` + list(n, func(i int) string { return imageNode }) + `]}`
	}},
	{"fan out", func(n int) string {
		return `{"version":0.4,"links":[` + list(n, func(i int) string { return fmt.Sprintf(`[%d,1,0,%d,0,"IMAGE"]`, i+1, i+2) }) + `],"nodes":[` + imageNode + `,` +
			list(n, func(i int) string {
				return fmt.Sprintf(`{"id":%d,"type":"ImageInvert","inputs":[{"name":"image","type":"IMAGE","link":%d}]}`, i+2, i+1)
			}) + `]}`
	}},
	{"fan out of the wrong type", func(n int) string {
		return `{"version":0.4,"links":[[1,1,0,2,1,"IMAGE"],` + list(n, func(i int) string { return fmt.Sprintf(`[%d,2,0,%d,0,"MASK"]`, i+3, i+3) }) + `],"nodes":[` + imageNode +
			`,{"id":2,"type":"ComfySwitchNode","inputs":[{"name":"on_false","type":"*"},{"name":"on_true","type":"*","link":1}],"outputs":[{"name":"output","type":"*"}],"widgets_values":[true]},` +
			list(n, func(i int) string {
				return fmt.Sprintf(`{"id":%d,"type":"MaskPreview","inputs":[{"name":"mask","type":"MASK","link":%d}]}`, i+3, i+3)
			}) + `]}`
	}},
	{"reroutes", func(n int) string {
		return `{"version":0.4,"links":[` + list(n, func(i int) string { return fmt.Sprintf(`[%d,%d,0,%d,0,"IMAGE"]`, i+1, i+1, i+2) }) + `],"nodes":[` + imageNode + `,` +
			list(n, func(i int) string {
				return fmt.Sprintf(`{"id":%d,"type":"Reroute","inputs":[{"name":"","type":"*","link":%d}],"outputs":[{"name":"","type":"*"}]}`, i+2, i+1)
			}) + `]}`
	}},
	{"primitive targets", func(n int) string {
		return `{"version":0.4,"links":[` + list(n, func(i int) string { return fmt.Sprintf(`[%d,1,0,%d,0,"INT"]`, i+1, i+2) }) +
			`],"nodes":[{"id":1,"type":"PrimitiveNode","outputs":[{"name":"INT","type":"INT"}],"widgets_values":[64,"fixed"]},` +
			list(n, func(i int) string {
				return fmt.Sprintf(`{"id":%d,"type":"EmptyImage","inputs":[{"name":"width","type":"INT","link":%d,"widget":{"name":"width"}}],"widgets_values":[64,64,1,0]}`, i+2, i+1)
			}) + `]}`
	}},
	{"host inputs", func(n int) string {
		return `{"version":0.4,"links":[],"nodes":[{"id":1,"type":"a","inputs":[` + list(n, func(i int) string {
			return fmt.Sprintf(`{"name":"w%d","type":"INT","link":null,"widget":{"name":"w%d"}}`, i, i)
		}) + `],"widgets_values":[` + list(n, func(i int) string { return "7" }) +
			`]}],"definitions":{"subgraphs":[{"id":"a","name":"A","inputs":[` + list(n, func(i int) string {
			return fmt.Sprintf(`{"id":"%d","name":"w%d","type":"INT","linkIds":[%d]}`, i, i, i+1)
		}) +
			`],"outputs":[],"links":[` + list(n, func(i int) string {
			return fmt.Sprintf(`{"id":%d,"origin_id":-10,"origin_slot":%d,"target_id":%d,"target_slot":0,"type":"INT"}`, i+1, i, i+1)
		}) + `],"nodes":[` + list(n, func(i int) string {
			return fmt.Sprintf(`{"id":%d,"type":"EmptyImage","inputs":[{"name":"width","type":"INT","link":%d,"widget":{"name":"width"}}],"widgets_values":[64,64,1,0]}`, i+1, i+1)
		}) + `]}]}}`
	}},
	{"proxies", func(n int) string {
		return `{"version":0.4,"links":[],"nodes":[{"id":1,"type":"a","inputs":[],"properties":{"proxyWidgets":[` +
			list(n, func(i int) string { return fmt.Sprintf(`["%d","width"]`, i+1) }) + `]},"widgets_values":[` + list(n, func(i int) string { return "7" }) +
			`]}],"definitions":{"subgraphs":[{"id":"a","name":"A","inputs":[],"outputs":[],"links":[],"nodes":[` + list(n, func(i int) string {
			return fmt.Sprintf(`{"id":%d,"type":"EmptyImage","inputs":[{"name":"width","type":"INT","link":null,"widget":{"name":"width"}}],"widgets_values":[64,64,1,0]}`, i+1)
		}) + `]}]}}`
	}},
	{"definitions", func(n int) string {
		return `{"version":0.4,"links":[],"nodes":[` + list(n, func(i int) string { return fmt.Sprintf(`{"id":%d,"type":"a%d"}`, i+1, i) }) + `],"definitions":{"subgraphs":[` +
			list(n, func(i int) string {
				return fmt.Sprintf(`{"id":"a%d","name":"A","inputs":[],"outputs":[],"links":[],"nodes":[%s]}`, i, imageNode)
			}) + `]}}`
	}},
	{"groups", func(n int) string {
		return `{"version":0.4,"links":[],"nodes":[` + list(n, func(i int) string { return fmt.Sprintf(`{"id":%d,"type":"workflow>G"}`, i+1) }) +
			`],"extra":{"groupNodes":{"G":{"nodes":[` + imageNode + `],"links":[],"external":[]}}}}`
	}},
	{"group nodes", func(n int) string {
		return `{"version":0.4,"links":[],"nodes":[{"id":1,"type":"workflow>G"}],"extra":{"groupNodes":{"G":{"nodes":[` +
			list(n, func(i int) string { return imageNode }) + `],"links":[],"external":[]}}}}`
	}},
	{"group types", func(n int) string {
		return `{"version":0.4,"links":[],"nodes":[` + imageNode + `],"extra":{"groupNodes":{` + list(n, func(i int) string { return fmt.Sprintf(`"G%d":{"nodes":[%s],"links":[],"external":[]}`, i, imageNode) }) + `}}}`
	}},
	{"options", func(n int) string {
		return `{"version":0.4,"links":[],"nodes":[{"id":1,"type":"CustomCombo","widgets_values":["a",0,` + list(n, func(i int) string { return fmt.Sprintf(`"o%d"`, i) }) + `]}]}`
	}},
	{"braces", func(n int) string {
		return `{"version":0.4,"links":[],"nodes":[{"id":1,"type":"CLIPTextEncode","widgets_values":["` + strings.Repeat("{a|", n) + `"]}]}`
	}},
	{"tokens", func(n int) string {
		return `{"version":0.4,"links":[],"nodes":[{"id":1,"type":"CLIPTextEncode","widgets_values":["` + strings.Repeat("a", n) + `"]},{"id":2,"type":"SaveImage","widgets_values":["` +
			strings.Repeat("%CLIPTextEncode.text%", n) + `"]}]}`
	}},
	{"texts", func(n int) string {
		return `{"version":0.4,"links":[],"nodes":[` + list(n, func(i int) string { return fmt.Sprintf(`{"id":%d,"type":"a"}`, i+1) }) +
			`],"definitions":{"subgraphs":[{"id":"a","name":"A","inputs":[],"outputs":[],"links":[],"nodes":[{"id":1,"type":"CLIPTextEncode","widgets_values":["{a}` + strings.Repeat("a", n) + `"]}]}]}}`
	}},
	{"switches", func(n int) string {
		return `{"version":0.4,"links":[` + list(n, func(i int) string { return fmt.Sprintf(`[%d,%d,0,%d,1,"IMAGE"]`, i+1, i+1, i+2) }) + `],"nodes":[` + imageNode + `,` +
			list(n, func(i int) string {
				return fmt.Sprintf(`{"id":%d,"type":"ComfySwitchNode","inputs":[{"name":"on_false","type":"*"},{"name":"on_true","type":"*","link":%d}],"outputs":[{"name":"output","type":"*"}],"widgets_values":[true]}`, n+1-i, n-i)
			}) + `]}`
	}},
	{"hosts times inputs", func(n int) string {
		return `{"version":0.4,"links":[],"nodes":[` + list(n, func(i int) string { return fmt.Sprintf(`{"id":%d,"type":"a"}`, i+1) }) +
			`],"definitions":{"subgraphs":[{"id":"a","name":"A","inputs":[` + list(n, func(i int) string { return fmt.Sprintf(`{"id":"%d","name":"w%d","type":"INT","linkIds":[]}`, i, i) }) +
			`],"outputs":[],"links":[],"nodes":[` + imageNode + `]}]}}`
	}},
	{"hosts times proxies", func(n int) string {
		return `{"version":0.4,"links":[],"nodes":[` + list(n, func(i int) string {
			return fmt.Sprintf(`{"id":%d,"type":"a","properties":{"proxyWidgets":[["%d","width"]]},"widgets_values":[7]}`, i+1, i+1)
		}) + `],"definitions":{"subgraphs":[{"id":"a","name":"A","inputs":[],"outputs":[],"links":[],"nodes":[` + list(n, func(i int) string {
			return fmt.Sprintf(`{"id":%d,"type":"EmptyImage","inputs":[{"name":"width","type":"INT","link":null,"widget":{"name":"width"}}],"widgets_values":[64,64,1,0]}`, i+1)
		}) + `]}]}}`
	}},
	{"lists as texts", func(n int) string {
		return `{"version":0.4,"links":[],"nodes":[` + list(n, func(i int) string { return fmt.Sprintf(`{"id":%d,"type":"a"}`, i+1) }) +
			`],"definitions":{"subgraphs":[{"id":"a","name":"A","inputs":[],"outputs":[],"links":[],"nodes":[{"id":1,"type":"StringConcatenate","widgets_values":[[` + list(n, func(i int) string { return "1" }) + `]]}]}]}}`
	}},
	{"doubling", func(n int) string {
		return `{"version":0.4,"links":[],"nodes":[{"id":1,"type":"a0"}],"definitions":{"subgraphs":[` + list(n, func(i int) string {
			return fmt.Sprintf(`{"id":"a%d","name":"A","inputs":[],"outputs":[],"links":[],"nodes":[{"id":1,"type":"a%d"},{"id":2,"type":"a%d"}]}`, i, i+1, i+1)
		}) + `]}}`
	}},
	{"circular bypasses", func(n int) string {
		return `{"version":0.4,"links":[` + list(n, func(i int) string { return fmt.Sprintf(`[%d,%d,0,%d,0,"IMAGE"]`, i+1, i+1, (i+1)%n+1) }) + `],"nodes":[` +
			list(n, func(i int) string {
				return fmt.Sprintf(`{"id":%d,"type":"ImageInvert","mode":4,"inputs":[{"name":"image","type":"IMAGE","link":%d}],"outputs":[{"name":"IMAGE","type":"IMAGE"}]}`, i+1, (i+n-1)%n+1)
			}) + `,{"id":0,"type":"SaveImage"}]}`
	}},
	{"bypasses that are all used", func(n int) string {
		return `{"version":0.4,"links":[` + list(2*n, func(i int) string {
			if i < n {
				return fmt.Sprintf(`[%d,%d,0,%d,0,"IMAGE"]`, i+1, i+1, i+2)
			}
			return fmt.Sprintf(`[%d,%d,0,%d,0,"IMAGE"]`, i+1, i-n+2, i+2)
		}) + `],"nodes":[` + imageNode + `,` + list(2*n, func(i int) string {
			if i < n {
				return fmt.Sprintf(`{"id":%d,"type":"ImageInvert","mode":4,"inputs":[{"name":"image","type":"IMAGE","link":%d}],"outputs":[{"name":"IMAGE","type":"IMAGE"}]}`, i+2, i+1)
			}
			return fmt.Sprintf(`{"id":%d,"type":"ImageInvert","inputs":[{"name":"image","type":"IMAGE","link":%d}]}`, i+2, i+1)
		}) + `]}`
	}},
}

// BenchmarkShapes converts each shape at growing sizes: the time per element must not grow with them.
func BenchmarkShapes(b *testing.B) {
	cat := nodes.BuiltIn()
	for _, s := range shapes {
		for _, n := range []int{1_000, 10_000, 100_000} {
			v := parse(b, s.text(n))
			b.Run(fmt.Sprintf("%s/%d", strings.ReplaceAll(s.name, " ", "_"), n), func(b *testing.B) {
				for b.Loop() {
					Lower(v, cat, Options{})
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/element")
			})
		}
	}
}
