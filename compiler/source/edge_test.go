package source

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// edge is a text that is hard in one way: what is read of it, or what is said at which place. want is the whole tree as JSON, or the
// beginning of the error.
type edge struct {
	name, in, want string
	code           string // of the error; "" if the text is read
	at             string // a part of the text: the value at /a must have its place
	line, column   int    // of that value
}

var jsonEdges = []edge{
	{name: "huge exponent", in: `{"a": 1e100000000}`, want: `{"a":1e100000000}`, at: "1e100000000", line: 1, column: 7},
	{name: "huge negative exponent", in: `{"a": -1E-100000000}`, want: `{"a":-1E-100000000}`},
	{name: "long exponent", in: `{"a": 1e` + strings.Repeat("9", 5000) + `}`, want: "t:1:7: a number of 5002 characters", code: "number_too_long"},
	{name: "byte order mark", in: "\ufeff{\"a\": 1}", want: `{"a":1}`, at: "1", line: 1, column: 7},
	{name: "byte order mark and an error", in: "\ufeff{\"a\": x}", want: "t:1:7: not JSON", code: "syntax"},
	{name: "two byte order marks", in: "\ufeff\ufeff{}", want: "t:1:1: not JSON", code: "syntax"},
	{name: "UTF-16", in: "\xff\xfe{\x00}\x00", want: "t:1:1: not JSON", code: "syntax"},
	{name: "CRLF", in: "{\r\n\"b\": 0,\r\n  \"a\": 1\r\n}", want: `{"b":0,"a":1}`, at: "1", line: 3, column: 8},
	{name: "CR alone", in: "{\r\"b\": 0,\r  \"a\": 1}", want: `{"b":0,"a":1}`, at: "1", line: 3, column: 8},
	{name: "CRLF and an error", in: "{\r\n\"a\": 1,\r\n}", want: "t:2:7: not JSON", code: "syntax"},
	{name: "astral characters before a value", in: `{"😀𝄞": 0, "a": 1}`, want: `{"😀𝄞":0,"a":1}`, at: "1", line: 1, column: 16},
	{name: "combining characters", in: "{\"e\u0301\": 0, \"a\": 1}", want: "{\"e\u0301\":0,\"a\":1}", at: "1", line: 1, column: 16},
	{name: "astral characters before an error", in: `{"a": "😀😀", }`, want: "t:1:11: not JSON", code: "syntax"},
	{name: "escaped astral characters", in: `{"a": "\ud83d\ude00"}`, want: `{"a":"😀"}`},
	{name: "lone high surrogate", in: `{"a": "x\ud83dy"}`, want: "{\"a\":\"x\ufffdy\"}"},
	{name: "lone low surrogate", in: `{"a": "\ude00"}`, want: "{\"a\":\"\ufffd\"}"},
	{name: "surrogates the wrong way round", in: `{"a": "\ude00\ud83d"}`, want: "{\"a\":\"\ufffd\ufffd\"}"},
	{name: "lone surrogate as bytes", in: "{\"a\": \"\xed\xa0\xbd\"}", want: "{\"a\":\"\ufffd\ufffd\ufffd\"}"},
	{name: "NUL in a string", in: "{\"a\": \"x\x00\"}", want: "t:1:9: not JSON", code: "syntax"},
	{name: "escaped NUL", in: `{"a": "x\u0000"}`, want: `{"a":"x\u0000"}`},
	{name: "NUL outside of strings", in: "{\"a\": \x001}", want: "t:1:7: not JSON", code: "syntax"},
	{name: "NUL behind the end", in: "{}\x00", want: "t:1:3: text after the end", code: "syntax"},
	{name: "invalid UTF-8", in: "{\"a\": \"\xff\xc0\x80z\"}", want: "{\"a\":\"\ufffd\ufffd\ufffdz\"}"},
	{name: "invalid UTF-8 before a value", in: "{\"\xff\": 0, \"a\": 1}", want: "{\"\ufffd\":0,\"a\":1}", at: "1", line: 1, column: 15},
	{name: "keys that become equal", in: "{\"\xff\": 0, \"\xfe\": 1}", want: "t:1:10: key \"\ufffd\" is there twice", code: "duplicate_key"},
	{name: "duplicate keys", in: "{\"a\": 1,\n \"b\": {\"c\": 0, \"c\": 1}}", want: "t:2:16: key \"c\" is there twice", code: "duplicate_key"},
	{name: "duplicate keys, one with escapes", in: `{"a": 1, "\u0061": 2}`, want: "t:1:10: key \"a\" is there twice", code: "duplicate_key"},
	{name: "depth 10,000", in: strings.Repeat(`[`, 10_000) + strings.Repeat(`]`, 10_000), want: "t:1:258: nested deeper than 256", code: "too_deep"},
	{name: "objects of depth 10,000", in: strings.Repeat(`{"a":`, 10_000) + `1` + strings.Repeat(`}`, 10_000), want: "t:1:1286: nested deeper than 256", code: "too_deep"},
	{name: "open brackets only", in: strings.Repeat(`[`, 1_000_000), want: "t:1:258: nested deeper than 256", code: "too_deep"},
	{name: "an error at the end of 10 MB on one line", in: `{"b": "` + strings.Repeat("x", 10<<20) + `", "a": 1,}`, want: fmt.Sprintf("t:1:%d: not JSON", 10<<20+17), code: "syntax"},
	{name: "Python's words as keys", in: `{NaN: 1}`, want: "t:1:2: not JSON", code: "syntax"},
	{name: "a word that is none", in: `{"a": -NaN}`, want: "t:1:8: not JSON", code: "syntax"},
}

var yamlEdges = []edge{
	{name: "huge exponent", in: "a: 1e100000000", want: `{"a":1e100000000}`, at: "1e100000000", line: 1, column: 4},
	{name: "long number", in: "a: " + strings.Repeat("9", 5000), want: "t:1:4: a number of 5000 characters", code: "number_too_long"},
	{name: "byte order mark", in: "\ufeffa: 1", want: `{"a":1}`, at: "1", line: 1, column: 4},
	{name: "CRLF", in: "b: 0\r\na: 1\r\n", want: `{"b":0,"a":1}`, at: "1", line: 2, column: 4},
	{name: "astral characters before a value", in: "{😀𝄞: 0, a: xyz}", want: `{"😀𝄞":0,"a":"xyz"}`, at: "xyz", line: 1, column: 12},
	{name: "quotes in single quotes", in: "a: 'it''s' # no\nb: 1", want: `{"a":"it's","b":1}`, at: "'it''s'", line: 1, column: 4},
	{name: "single quotes over two lines", in: "a: 'it''s\n  long'\nb: 1", want: `{"a":"it's long","b":1}`, at: "'it''s", line: 1, column: 4},
	{name: "only quotes in single quotes", in: "a: ''''", want: `{"a":"'"}`, at: "''''", line: 1, column: 4},
	{name: "escaped quotes in double quotes", in: `a: "x\"y" # "`, want: `{"a":"x\"y"}`, at: `"x\"y"`, line: 1, column: 4},
	{name: "NUL", in: "a: \x00", want: "t:1:", code: "syntax"},
	{name: "escaped NUL", in: `a: "\0"`, want: `{"a":"\u0000"}`},
	{name: "invalid UTF-8", in: "a: \xff\xfe", want: "t:1:", code: "syntax"},
	{name: "lone surrogate", in: `a: "\ud800"`, want: "t:1:", code: "syntax"},
	{name: "duplicate keys", in: "b:\n  c: 0\n  c: 1", want: "t:3:3: key \"c\" is there twice", code: "duplicate_key"},
	{name: "duplicate keys, one in quotes", in: "a: 0\n'a': 1", want: "t:2:1: key \"a\" is there twice", code: "duplicate_key"},
	{name: "depth 10,000", in: strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000), want: "t:", code: "*"},
	{name: "depth 300", in: strings.Repeat("[", 300) + strings.Repeat("]", 300), want: "t:1:258: nested deeper than 256", code: "too_deep"},
	{name: "an alias to itself", in: "a: &x [*x]", want: "t:1:", code: "*"},
}

func TestJSONEdges(t *testing.T) { checkEdges(t, jsonEdges, ParseJSON) }
func TestYAMLEdges(t *testing.T) { checkEdges(t, yamlEdges, ParseYAML) }

func checkEdges(t *testing.T, edges []edge, read func(*File, Limits) (*Value, error)) {
	for _, e := range edges {
		t.Run(e.name, func(t *testing.T) {
			v, err := read(NewFile("t", []byte(e.in)), Limits{})
			if e.code != "" {
				var trouble *Error
				if !errors.As(err, &trouble) || e.code != "*" && trouble.Code != e.code || !strings.HasPrefix(trouble.Error(), e.want) {
					t.Errorf("got %v, want %s [%s]", err, e.want, e.code)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := string(v.AppendJSON(nil)); got != e.want {
				t.Errorf("got %s, want %s", got, e.want)
			}
			if e.at != "" {
				checkPlace(t, v.Get("a"), e)
			}
		})
	}
}

func checkPlace(t *testing.T, v *Value, e edge) {
	t.Helper()
	if got := e.in[v.Start:v.End]; got != e.at {
		t.Errorf("the place holds %q, not %q", got, e.at)
	}
	if line, column := v.File.Position(v.Start); line != e.line || column != e.column {
		t.Errorf("the place is %d:%d, not %d:%d", line, column, e.line, e.column)
	}
}

// TestReadersMemory reads the texts that take most memory for their size, right ones and wrong ones: 64 MiB and a hundred times the text bound
// what lies on the heap at any time.
func TestReadersMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	const n = 200_000
	for _, shape := range []struct {
		name, text string
		read       func(*File, Limits) (*Value, error)
	}{
		{"ones", "[" + strings.Repeat("1,", n) + "1]", ParseJSON},
		{"ones, with an error", "[" + strings.Repeat("1,", n) + "]", ParseJSON},
		{"empty lists", "[" + strings.Repeat("[],", n) + "1]", ParseJSON},
		{"lists of one", "[" + strings.Repeat("[1],", n) + "1]", ParseJSON},
		{"objects of one", "[" + strings.Repeat(`{"":1},`, n) + "1]", ParseJSON},
		{"escapes", `["` + strings.Repeat(`\n`, n) + `"]`, ParseJSON},
		{"not UTF-8", `["` + strings.Repeat("\xff", n) + `"]`, ParseJSON},
		{"YAML ones", "[" + strings.Repeat("1, ", n/4) + "1]", ParseYAML},
	} {
		file := NewFile("t", []byte(shape.text))
		peak := watchHeap(func() { _, _ = shape.read(file, Limits{}) })
		t.Logf("%s: %d bytes, %d MiB", shape.name, len(shape.text), peak>>20)
		if most := uint64(64<<20 + 100*len(shape.text)); peak > most {
			t.Errorf("%s: %d bytes of text take %d MiB, more than %d", shape.name, len(shape.text), peak>>20, most>>20)
		}
	}
}

// watchHeap runs something and gives the most that was on the heap at any time beyond what was there before.
func watchHeap(run func()) uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before, most := m.HeapAlloc, m.HeapAlloc
	done := make(chan struct{})
	go func() {
		defer close(done)
		run()
	}()
	for {
		select {
		case <-done:
			runtime.ReadMemStats(&m)
			return max(most, m.HeapAlloc) - before
		default:
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
			runtime.Gosched()
		}
	}
}

func TestPointer(t *testing.T) {
	v, err := ParseJSON(NewFile("t", []byte(`{"a/b": [10, {"~": 1, "": 2}]}`)), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for pointer, want := range map[string]string{"": `{"a/b":[10,{"~":1,"":2}]}`, "/a~1b/0": "10", "/a~1b/1/~0": "1", "/a~1b/1/": "2",
		"/x": "", "/a~1b/2": "", "/a~1b/-1": "", "/a~1b/01": "", "/a~1b/+1": "", "/a~1b/0/0": "", "a": "", "/": ""} {
		got := ""
		if found, _ := v.Pointer(pointer); found != nil {
			got = string(found.AppendJSON(nil))
		}
		if got != want {
			t.Errorf("%q gives %s, want %s", pointer, got, want)
		}
	}
}
