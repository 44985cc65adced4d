package script

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler/source"
)

// hostile are scripts that broke naive limits, and their like. inProcess says that Interrupt and the bounds on what is made are enough.
var hostile = []struct {
	name, body string
	want       []string // one of these codes
	line       string   // where the finding stands
	inProcess  bool
}{
	{"a large array filled", "Array(1e8).fill(0);", []string{"script_memory", "script_time"}, "t.js:6:", false},
	{"a regular expression that looks back", "/(a*)*\\1b/.test('a'.repeat(30) + 'c'); /^(\\w+\\s?)*\\1$/.test('an input that takes long to look at, word by word, again!');",
		[]string{"script_time", "script_memory"}, "t.js:6:", false},
	{"an endless loop", "let n = 0; while (true) n++;", []string{"script_time"}, "t.js:6:", true},
	{"endless recursion", "(function f() { return f() + 1; })();", []string{"script_depth"}, "t.js:6:", true},
	{"recursion through built-in functions", "(function f() { return [1, 2].map(f); })();", []string{"script_depth"}, "t.js:6:", true},
	{"a huge text in one step", "'x'.repeat(2 ** 30);", []string{"script_memory"}, "t.js:6:", true},
	{"a text padded", "'x'.padEnd(2 ** 29);", []string{"script_memory"}, "t.js:6:", true},
	{"a text doubled", "let s = 'x'; for (;;) s += s;", []string{"script_memory", "script_time"}, "t.js:6:", false},
	{"a list that grows", "const l = []; for (;;) l.push(new Array(1000).fill(1.5));", []string{"script_memory", "script_time"}, "t.js:6:", false},
	{"a huge JSON text", "JSON.parse('[' + '0,'.repeat(7e6) + '0]'); JSON.parse('[' + '{},'.repeat(5e6) + '0]'); JSON.parse('[' + '[1],'.repeat(4e6) + '0]');",
		[]string{"script_memory", "script_time"}, "t.js:6:", false},
	{"JSON nested deep", "JSON.parse('['.repeat(8e6));", []string{"script_failed", "script_depth", "script_memory", "script_time"}, "t.js", false},
	{"a sorting that never ends", "new Array(1e7).fill(1).sort(() => random() - 0.5);", []string{"script_time", "script_memory"}, "t.js:6:", false},
	{"prototype pollution", "Object.prototype.inputs = Object.prototype.outputs = Object.prototype.expand = 7; Object.prototype.image = g.EmptyImage({}); return {};",
		[]string{"bad_output"}, "t.js:4:", true},
	{"a getter that throws", "return g.EmptyImage({ get width() { throw new Error('no'); } });", []string{"script_failed"}, "t.js:6:", true},
	{"a getter that loops", "return g.EmptyImage({ get width() { for (;;); } });", []string{"script_time"}, "t.js:6:", true},
	{"a proxy that lies", "return g.EmptyImage(new Proxy({}, { ownKeys() { for (;;); } }));", []string{"script_time"}, "t.js:6:", true},
	{"a proxy without end", "let p = {}; for (let i = 0; i < 1e6; i++) p = new Proxy(p, {}); return g.EmptyImage({ width: p.x });",
		[]string{"script_failed", "script_depth", "script_time", "script_memory"}, "t.js", false},
	{"an object that holds itself", "const o = {}; o.o = o; return g.EmptyImage({ width: o });", []string{"bad_argument"}, "t.js:6:", true},
	{"an async function", "return (async () => g.EmptyImage({}))();", []string{"bad_output"}, "t.js:3:", true},
	{"a promise that never resolves", "return new Promise(() => {});", []string{"bad_output"}, "t.js:3:", true},
	{"a promise that loops", "Promise.resolve().then(() => { for (;;); }); return g.EmptyImage({});", []string{"script_time"}, "t.js:6:", true},
	{"toString traps", "return g.EmptyImage({ width: { toString() { for (;;); }, valueOf() { for (;;); } } });", []string{"bad_argument"}, "t.js:6:", true},
	{"an error with a trap", "throw { get message() { for (;;); } };", []string{"script_failed", "script_time"}, "t.js:6:", true},
	{"an error that is a trap", "throw { toString() { for (;;); } };", []string{"script_failed"}, "t.js:6:", true},
	{"too many nodes", "for (;;) g.EmptyImage({});", []string{"script_nodes"}, "t.js:6:", true},
	{"too large values", "for (let i = 0; i < 100; i++) g.EmptyImage({ width: 'x'.repeat(1e5) });", []string{"script_output"}, "t.js:6:", true},
	{"too many values", "return g.EmptyImage({ width: new Array(3e5) });", []string{"script_output"}, "t.js:6:", true},
	{"an interrupt that is caught", "let n = 0; for (;;) { try { for (;;) n++; } catch { n--; } finally { n++; } }", []string{"script_time"}, "t.js:6:", true},
}

// calm skips a test of limits on memory and time under the race detector, which needs several times as much of both.
func calm(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("the race detector takes more memory and time than the limits that are tested allow")
	}
}

func TestHostile(t *testing.T) {
	calm(t)
	for _, tc := range hostile {
		t.Run(tc.name, func(t *testing.T) { survive(t, childOptions, tc.body, tc.want, tc.line) })
	}
}

func TestHostileInProcess(t *testing.T) {
	calm(t)
	for _, tc := range hostile {
		if tc.inProcess {
			t.Run(tc.name, func(t *testing.T) {
				survive(t, Options{InProcess: true}, tc.body, tc.want, tc.line)
			})
		}
	}
}

// calmTimeout is for what ends by another bound than time, on any machine.
const calmTimeout = 30 * time.Second

// survive holds that a script ends, with a finding at its place, and that the set goes on working.
func survive(t *testing.T, opt Options, body string, want []string, line string) {
	t.Helper()
	if opt.Timeout = calmTimeout; slices.Contains(want, "script_time") {
		opt.Timeout = time.Second
	}
	s := load(t, opt, "t.js", one("    if (a === 2) return g.EmptyImage({});\n"+body))
	start := time.Now()
	e, findings := s.Expand(context.Background(), prompt(t, useOne))
	took := time.Since(start)
	line = strings.Replace(line, ":6:", ":7:", 1)
	code := ""
	if len(findings) > 0 {
		code = findings[0].Code
	}
	found := false
	for _, w := range want {
		found = found || w == code
	}
	killed := !opt.InProcess && strings.Contains(printed(findings), "("+opt.Timeout.String()+")") // a busy machine: the child had no time left to say where it was
	if killed {
		line = ""
	}
	if !found || (e == nil) != (code != "") || line != "" && !strings.HasPrefix(printed(findings), line) && !strings.Contains(line, ":3:") {
		t.Errorf("got %swant one of %v at %s", printed(findings), want, line)
	}
	t.Logf("%s %s", took.Round(time.Millisecond), printed(findings))
	after, findings := s.Expand(context.Background(), prompt(t, strings.Replace(useOne, `"inputs": {}`, `"inputs": {"a": 2}`, 1)))
	for tries := 0; after == nil && tries < 20 && strings.Contains(printed(findings), "script_time"); tries++ { // a machine that stands still for a second
		after, findings = s.Expand(context.Background(), prompt(t, strings.Replace(useOne, `"inputs": {}`, `"inputs": {"a": 2}`, 1)))
	}
	if after == nil {
		t.Errorf("afterwards nothing works:\n%s", printed(findings))
	}
}

func TestHostileTopLevel(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		opt.Timeout = 400 * time.Millisecond
		for _, tc := range []struct{ name, text, want string }{
			{"a loop", "let i = 0;\nfor (;;) i++;", "it ran longer than it may [script_time]"}, // on a busy machine it may not have come to the loop
			{"an error", "\n\n  nothing();", "t.js:3:10: the script threw ReferenceError: nothing is not defined [script_failed]"},
			{"no JavaScript", "template({\n  name: ,\n});", "t.js:2:9: not JavaScript: Unexpected token , [script_syntax]"},
			{"a module", "import x from 'y';", "t.js:1:1: not JavaScript: "},
			{"no object", "template(3);", "t.js:1:9: 3 takes an object"},
			{"no name", "template({ expand() {} });", "the template has no name [bad_template]"},
			{"no expand", "template({ name: 'A' });", "t.js:1:9: the template has no function expand(g, inputs) [bad_template]"},
			{"a member too much", "template({ name: 'A', input: {}, expand() {} });", `a template has no member "input"`},
			{"a strange type", "template({ name: 'A', inputs: { a: 3 }, expand() {} });", `t.js:1:36: input "a": 3 is no type`},
			{"a default out of range", "template({ name: 'A', inputs: { a: {type: 'INT', default: 9, max: 3} }, expand() {} });", "the default does not fit"},
			{"a strange member", "template({ name: 'A', inputs: { a: {type: 'INT', defualt: 9} }, expand() {} });", `input "a" has no member "defualt" [bad_template] (did you mean "default"?)`},
			{"a class's name", "template({ name: 'KSampler', expand() {} });", `t.js:1:18: "KSampler" is the name of a node class that exists already [template_shadows]`},
			{"a name twice", "template({ name: 'A', expand() {} });\ntemplate({ name: 'A', expand() {} });", `t.js:2:18: template "A" is there twice [bad_template] | t.js:1:18: the first one is here`},
			{"a source map", "nothing();\n//# sourceMappingURL=file:///etc/passwd", "t.js:1:8: the script threw ReferenceError"},
		} {
			s, findings := Load(context.Background(), []*source.File{source.NewFile("t.js", []byte(tc.text))}, nil, opt)
			if s != nil || !strings.Contains(printed(findings), tc.want) {
				t.Errorf("%s: got\n%swant %s", tc.name, printed(findings), tc.want)
			}
		}
	})
}

func TestCancel(t *testing.T) {
	opt := childOptions
	opt.Timeout = calmTimeout
	s := load(t, opt, "t.js", one("for (;;);"))
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	start := time.Now()
	if _, findings := s.Expand(ctx, prompt(t, useOne)); !strings.Contains(printed(findings), "[cancelled]") {
		t.Errorf("after %s: %s", time.Since(start), printed(findings))
	}
}
