package script

import (
	"context"
	"strings"
	"testing"
)

const typed = `// a template with types
interface Pair<T> { left: T; right: T }

type Method = "area" | "lanczos"; /* ü */ const method: Method = "area";

template({
  name: "T",
  inputs: { a: { type: "INT", default: 1 } },
  outputs: { image: "IMAGE" },
  expand(g: any, { a }: { a: number }) {
    const size: Pair<number> = { left: a as number,
      right: 2 };
    const names: Record<string, string> = { "ü": "é" }; return { image: g.ImageScaleBy({ image: g.EmptyImage({ width: size.left * 8 }),
      upscale_method: method satisfies string, scale_by: size!.right, wrong: 1 }) };
  },
});
`

func TestTypeScript(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := load(t, opt, "t.ts", typed)
		_, findings := s.Expand(context.Background(), prompt(t, useOne))
		if got := printed(findings); !strings.HasPrefix(got, `t.ts:14:71: input "wrong" of ImageScaleBy does not exist [undeclared_input] |`) {
			t.Errorf("got %s", got)
		}
		s = load(t, opt, "t.ts", strings.Replace(typed, ", wrong: 1", "", 1))
		e, findings := s.Expand(context.Background(), prompt(t, useOne))
		if e == nil {
			t.Fatal(printed(findings))
		}
		for _, tc := range []struct{ node, input, want string }{
			{"5.1", "width", "size.left * 8"}, {"5.2", "upscale_method", "method satisfies string"}, {"5.2", "scale_by", "size!.right"},
			{"5.2", "image", "g.EmptyImage({ width: size.left * 8 })"},
		} {
			v := e.Prompt.Get(tc.node).Get("inputs").Get(tc.input)
			if got := string(v.File.Data[v.Start:v.End]); got != tc.want {
				t.Errorf("%s.%s stands at %q, want %q", tc.node, tc.input, got, tc.want)
			}
		}
	})
}

func TestTypeScriptFindings(t *testing.T) {
	for _, tc := range []struct{ name, old, new, want string }{
		{"thrown", "const size:", "if (a > 0) throw new Error('no'); const size:", "t.ts:11:22: the script threw Error: no [script_failed]"},
		{"unknown class", "EmptyImage", "EmptyImaeg", "t.ts:13:99: there is no node class \"EmptyImaeg\""},
	} {
		s := load(t, Options{InProcess: true}, "t.ts", strings.Replace(strings.Replace(typed, ", wrong: 1", "", 1), tc.old, tc.new, 1))
		_, findings := s.Expand(context.Background(), prompt(t, useOne))
		if !strings.Contains(printed(findings), tc.want) {
			t.Errorf("%s: got %swant %s", tc.name, printed(findings), tc.want)
		}
	}
}
