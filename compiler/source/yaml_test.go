package source

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestParseYAML(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"kinds", "a: 1\nb: [x, 'y', \"z\"]\nc: {d: true, e: ~}\nf: 0.50\n", `{"a":1,"b":["x","y","z"],"c":{"d":true,"e":null},"f":0.50}`},
		{"seed of 64 bits", "seed: 18446744073709551615", `{"seed":18446744073709551615}`},
		{"other notations", "[0x10, .5, .inf, -.inf, 1_000, +3]", `[16,0.5,Infinity,-Infinity,1000,3]`},
		{"ranges and dates are strings", "[1-8, 2026-01-02, 1-5 (+2)]", `["1-8","2026-01-02","1-5 (+2)"]`},
		{"anchors", "a: &x [1, 2]\nb: *x", `{"a":[1,2],"b":[1,2]}`},
		{"merge keys", "a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}", `{"a":{"p":1,"q":2},"b":{"q":3,"p":1}}`},
		{"block scalars", "a: |\n  one\n  two\n", `{"a":"one\ntwo\n"}`},
		{"yes is a word", "a: yes", `{"a":"yes"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v, err := ParseYAML(NewFile("t.yaml", []byte(tc.in)), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if got := string(v.AppendJSON(nil)); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// Of merged members those of the mapping itself win, then those of earlier merges; many of them take no longer than they are many.
func TestYAMLMerge(t *testing.T) {
	v, err := ParseYAML(NewFile("t.yaml", []byte("x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], a: 0}\n")), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(v.Get("z").AppendJSON(nil)); got != `{"a":0,"b":1,"c":2}` {
		t.Error(got)
	}
	var many strings.Builder
	many.WriteString("b: &b\n")
	for i := range 200_000 {
		fmt.Fprintf(&many, "  k%d: 1\n", i)
	}
	many.WriteString("c: {<<: *b}\n")
	if v, err = ParseYAML(NewFile("t.yaml", []byte(many.String())), Limits{}); err != nil || len(v.Get("c").Members) != 200_000 {
		t.Error(err)
	}
}

func TestParseYAMLErrors(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for i := 'b'; i < 'k'; i++ {
		bomb += string(i) + ": &" + string(i) + " [" + strings.Repeat("*"+string(i-1)+",", 9) + "]\n"
	}
	for _, tc := range []struct{ name, in, want, code string }{
		{"tab", "a:\n\t- b", "t.yaml:2:1: not YAML", "syntax"},
		{"duplicate", "a: 1\nb: 2\na: 3", "t.yaml:3:1: key \"a\" is there twice", "duplicate_key"},
		{"two documents", "a: 1\n---\nb: 2", "a second YAML document", "syntax"},
		{"a broken second document", "a: 1\n---\n{", "not YAML", "syntax"},
		{"empty", "# nothing\n", "the file is empty", "syntax"},
		{"empty, with a byte order mark", "\uFEFF", "t.yaml:1:1: the file is empty", "syntax"},
		{"key is a list", "? [a]\n: 1", "a key must be a plain text", "syntax"},
		{"foreign tag", "a: !!python/object x", "is not read here", "syntax"},
		{"alias bomb", bomb, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ParseYAML(NewFile("t.yaml", []byte(tc.in)), Limits{Values: 10_000})
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error", err)
			}
			if !strings.Contains(e.Error(), tc.want) || tc.code != "" && e.Code != tc.code {
				t.Errorf("got %q [%s], want %q [%s]", e.Error(), e.Code, tc.want, tc.code)
			}
		})
	}
}

func TestYAMLPlaces(t *testing.T) {
	text := "# c\nné: \"x y\" # d\nb:\n  - 'q'\n  - plain text\n"
	v, err := ParseYAML(NewFile("t.yaml", []byte(text)), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		v    *Value
		want string
	}{{v.Get("né"), `"x y"`}, {v.Get("b").Items[0], "'q'"}, {v.Get("b").Items[1], "plain text"}} {
		if got := text[tc.v.Start:tc.v.End]; got != tc.want {
			t.Errorf("place holds %q, want %q", got, tc.want)
		}
	}
	m := v.Member("né")
	if got := text[m.KeyStart:m.KeyEnd]; got != "né" {
		t.Errorf("key's place holds %q", got)
	}
}

func FuzzParseYAML(f *testing.F) {
	for _, s := range []string{"a: 1\nb: [x]\n", "a: &x {b: 1}\nc: {<<: *x}", "- |\n  t\n- >-\n  u", "\"a\": 'b'", "a: *b", "? x\n: y"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := ParseYAML(NewFile("f.yaml", data), Limits{Values: 10_000})
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("bad error %#v", err)
			}
			return
		}
		checkSpans(t, v, len(data))
	})
}
