package prompt

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/comfyc/comfyc/compiler/source"
)

// within parses a YAML file and gives the value at key p.
func within(t *testing.T, yaml string) *source.Value {
	t.Helper()
	root, err := source.ParseYAML(source.NewFile("batch.yaml", []byte(yaml)), source.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return root.Get("p")
}

func TestFindings(t *testing.T) {
	lib := library(t, files)
	opt := Options{Reserved: []string{"cfg", "style"}}
	for _, c := range []struct{ yaml, want string }{
		{"p: a {red|blue fox", `batch.yaml:1:6: error: a brace is not closed by } [prompt_unclosed]`},
		{"p: a {red|{b|c} fox", `batch.yaml:1:6: error: a brace`},
		{`p: "a\tb \"{c"`, `batch.yaml:1:12: error: a brace`},
		{"p: 'it''s {c'", `batch.yaml:1:11: error: a brace`},
		{"p: |\n  one\n  two {c\n  three\n", `batch.yaml:3:7: error: a brace`},
		{"p: >-\n  one\n  {c\n", `batch.yaml:1:4: error: a brace`},
		{"p: a} b", `batch.yaml:1:5: warning: a } closes nothing; it stays in the text [prompt_unclosed]`},
		{"p: a ${b=c", `batch.yaml:1:6: error: a variable is not closed by }`},
		{"p: a /* b", `batch.yaml:1:6: error: a comment is not closed by */`},
		{"p: a __b", `batch.yaml:1:6: warning: __ begins a wildcard that is not closed by __`},
		{"p: __w(a=b__", `batch.yaml:1:4: error: a wildcard is not closed by )__`},
		{"p: x ${ b}", `no variable is called "b"`},
		{"p: x ${!}", `batch.yaml:1:6: error: ${ is not followed by the name of a variable [prompt_variable]`},
		{"p: ${colour=a} ${color}", `batch.yaml:1:16: error: no variable is called "color" [prompt_variable]`},
		{"p: ${colour=a} ${color}", `did you mean "colour"?`},
		{"p: ${cfg=!a} x", `batch.yaml:1:6: error: the variable "cfg" is named as an axis [prompt_variable]`},
		{"p: __needs(style=!a)__", `the variable "style" is named as an axis`},
		{"p: __sets__", `sets.txt:1:1: error: the variable "cfg" is named as an axis`},
		{"p: __needs__", `needs.txt:1:3: error: no variable is called "thing"`},
		{"p: __colour__ x", `batch.yaml:1:4: error: no wildcard is called "colour" [unknown_wildcard]`},
		{"p: __colour__ x", `did you mean "colors"?`},
		{"p: __fish__", `did you mean "animals/sea/fish"?`},
		{"p: __z*__", `no wildcard fits "z*"`},
		{"p: x __loop__", `loop2.txt:1:4: error: a wildcard leads back to itself: __loop__ → __loop2__ → __loop__ [wildcard_cycle]`},
		{"p: __empty__", `batch.yaml:1:4: error: the wildcard "empty" has no values [wildcard_empty]`},
		{"p: __empty__", `empty.txt:1:1: note: it is empty here`},
		{"p: __broken__", `broken.txt:2:4: error: a brace is not closed by }`},
		{"p: x {3$$a|b}", `batch.yaml:1:6: warning: 3 options are to be taken, and there are 2; all of them are [prompt_count]`},
		{"p: x {2-3$$__animals/cats__}", `batch.yaml:1:6: warning: 3 options are to be taken, and the wildcard has 1 values`},
		{"p: x {101$$a|b}", `batch.yaml:1:7: error: at most 100 options are taken at once`},
		{"p: x {99999999999999999999$$a|b}", `at most 100 options`},
		{"p: x {a|-1::b}", `batch.yaml:1:9: error: a weight is a number from 0 on, not -1 [prompt_weight]`},
		{"p: x {0::a|0::b}", `batch.yaml:1:6: error: the weights of a choice add up to 0`},
		{"p: '" + strings.Repeat("{", 101) + strings.Repeat("}", 101) + "'", `braces are nested deeper than 100 levels [prompt_too_large]`},
		{"p: '" + strings.Repeat("{a|", 90) + strings.Repeat("}", 90) + "'", ``},
	} {
		_, findings := Parse(within(t, c.yaml), lib, opt)
		got := printed(findings)
		if !strings.Contains(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%q: no %q in\n%s", c.yaml, c.want, got)
		}
	}
	_, findings := Parse(within(t, "p: __x__"), nil, opt)
	if got := printed(findings); !strings.Contains(got, "say where the files are: prompts: {wildcards: FOLDER/}") {
		t.Errorf("without a library: %s", got)
	}
}

// TestReservedAfterUse holds that a wildcard which was kept is looked at again for other axes, those within it too.
func TestReservedAfterUse(t *testing.T) {
	lib := library(t, fstest.MapFS{"outer.txt": {Data: []byte("__sets__")}, "sets.txt": {Data: []byte("${cfg=!{a|b}}${cfg}")}})
	for _, want := range []bool{true, false, true} {
		opt := Options{}
		if !want {
			opt.Reserved = []string{"cfg"}
		}
		if tpl, findings := Parse(source.NewString("__outer__"), lib, opt); (tpl != nil) != want {
			t.Errorf("reserved %v: %v", opt.Reserved, findings)
		}
	}
}

func TestLimits(t *testing.T) {
	var lines, chain strings.Builder
	fs := fstest.MapFS{}
	for i := range maxOptions + 1 {
		fmt.Fprintln(&lines, i)
	}
	for i := range 150 {
		fs[fmt.Sprintf("w%d.txt", i)] = &fstest.MapFile{Data: []byte(fmt.Sprintf("__w%d__ ${x:}", i+1))}
	}
	fs["w150.txt"] = &fstest.MapFile{Data: []byte("end")}
	fs["many.txt"] = &fstest.MapFile{Data: []byte(lines.String())}
	fs["wide.txt"] = &fstest.MapFile{Data: []byte(strings.Repeat("{a|b}${x:}\n{c|d}${x:}${y:1}\n", 1))}
	lib := library(t, fs)
	for i := range 60 {
		fmt.Fprintf(&chain, "${v%d=${v%d}${v%d}}", i+1, i, i)
	}
	var bad strings.Builder
	for range 5000 {
		bad.WriteString("} __no__ ${no} ")
	}
	for text, want := range map[string]string{
		"__many__": `more than 100000 values [prompt_too_large]`,
		"__w0__":   `wildcards lead into each other more than 100 times`,
		"${v0={a|b}}" + chain.String() + "${v60}":                                        "a result could",
		"${v0=!{|}}" + chain.String() + "${v60}":                                         "a result could be put together from more than",
		strings.Repeat("a", maxOutput+1):                                                 "a prompt has at most 1048576 bytes",
		"{" + strings.Repeat("|", maxOptions+1) + "}":                                    "more than 100000 options",
		"{2-$$" + strings.Repeat("a|", 200) + "}":                                        "up to 201 options could be taken; at most 100 are",
		strings.Repeat("${a=b}", 1100) + "${a}":                                          "more than 1000 variables",
		bad.String():                                                                     "prompt_unclosed",
		"${x=" + strings.Repeat("{"+strings.Repeat("a", 9000)+"|b}", 110) + "}${x}a${x}": "more than 1048576 bytes",
	} {
		tpl, findings := Parse(source.NewString(text), lib, Options{})
		if got := printed(findings); tpl != nil || !strings.Contains(got, want) || len(findings) > maxFindings+1 {
			t.Errorf("%.60q: %d findings, no %q in %.300s", text, len(findings), want, got)
		}
	}
}

func TestLoadLimits(t *testing.T) {
	fs := fstest.MapFS{}
	for i := range maxFiles + 1 {
		fs[fmt.Sprintf("%d.txt", i)] = &fstest.MapFile{Data: []byte("a")}
	}
	if lib, findings := LoadLibrary(fs); lib != nil || !strings.Contains(printed(findings), "more than 10000 wildcard files [wildcard_file]") {
		t.Errorf("too many files: %s", printed(findings))
	}
	deep := fstest.MapFS{strings.Repeat("d/", maxFolders+2) + "a.txt": {Data: []byte("a")}}
	if lib, findings := LoadLibrary(deep); lib != nil || !strings.Contains(printed(findings), "nested deeper") {
		t.Errorf("too deep: %s", printed(findings))
	}
	big := fstest.MapFS{"a.txt": {Data: make([]byte, maxBytes/2+1)}, "b.txt": {Data: make([]byte, maxBytes/2+1)}}
	if lib, findings := LoadLibrary(big); lib != nil || !strings.Contains(printed(findings), "more than 64 MiB in all") {
		t.Errorf("too large: %s", printed(findings))
	}
}
