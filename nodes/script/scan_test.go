package script

import (
	"strings"
	"testing"
)

func TestArgument(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{`f({ a: 1, b: "x,}" })rest`, `a=1|b="x,}"|end f({ a: 1, b: "x,}" })`},
		{`f({a,b , "c d":[1,{x:2}], 'e': f(1,2) })`, `a=a|b=b|c d=[1,{x:2}]|e=f(1,2)|end f({a,b , "c d":[1,{x:2}], 'e': f(1,2) })`},
		{"f({ a: `x${ {b: `}`} } , `, c: /[/},]/.test(x), d: 4 / 2, /* , */ e: // }\n 5 })", "a=`x${ {b: `}`} } , `|c=/[/},]/.test(x)|d=4 / 2|e=5|end"},
		{`f({ expand(g, {a}) { return {a} }, ...rest, [k]: 1, b: 2 })`, `expand=expand(g, {a}) { return {a} }|=...rest|=[k]: 1|b=2|end`},
		{`f(x)`, `end f(x)`}, {`f({ a: "`, `end f(`}, {`f({`, `end f(`}, {`f({ "a\`, `end f(`},
	} {
		members, end := argument(tc.text, 1)
		got := ""
		for _, m := range members {
			got += m.key + "=" + tc.text[m.text.start:m.text.end] + "|"
		}
		if got += "end " + tc.text[:end]; !strings.HasPrefix(got, tc.want) {
			t.Errorf("%s: got %s, want %s", tc.text, got, tc.want)
		}
	}
}

func FuzzArgument(f *testing.F) {
	f.Add("f({a: `${`${b}`}`, c: /x/, 'd': [1, {}], ...e})", 1)
	f.Add("f({\"a\\", 1)
	f.Add("0", -18)
	f.Fuzz(func(t *testing.T, text string, open int) {
		members, end := argument(text, open)
		if end < 0 || end > len(text)+1 {
			t.Fatalf("end %d of %d", end, len(text))
		}
		for _, m := range members {
			_, _ = text[m.name.start:m.name.end], text[m.text.start:m.text.end]
		}
	})
}
