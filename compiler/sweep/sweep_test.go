package sweep

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// failer is what testing's and rapid's T have in common.
type failer interface {
	Helper()
	Fatal(args ...any)
}

// parse reads the parts of a sweep from YAML.
func parse(t failer, text string) Spec {
	t.Helper()
	v, err := source.ParseYAML(source.NewFile("batch.yaml", []byte(text)), source.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return Spec{Matrix: v.Get("matrix"), Zip: v.Get("zip"), Include: v.Get("include"), Exclude: v.Get("exclude"), Sample: v.Get("sample"), At: diag.Of(v)}
}

// numeric treats axes by their names: i… sets integers, f sets floats.
func numeric(axis string) Kind {
	switch {
	case strings.HasPrefix(axis, "i"):
		return Int
	case axis == "f":
		return Float
	}
	return Any
}

func build(t testing.TB, text string) *Sweep {
	t.Helper()
	s, findings := Build(parse(t, text), Options{Seed: 7, Kind: numeric})
	if s == nil {
		t.Fatalf("%s\n%v", text, findings)
	}
	return s
}

// list prints every coordinate as "axis=label …" in the order of the axes' names.
func list(s *Sweep) []string {
	var out []string
	values := make([]int, len(s.Axes))
	for i := range s.Len() {
		s.At(i, values)
		var parts []string
		for a, v := range values {
			if v >= 0 {
				parts = append(parts, s.Axes[a].Name+"="+s.Axes[a].Value(v).Label)
			}
		}
		slices.Sort(parts)
		out = append(out, strings.Join(parts, " "))
	}
	return out
}

func expect(t *testing.T, text string, want ...string) {
	t.Helper()
	if got := list(build(t, text)); !slices.Equal(got, want) {
		t.Errorf("%s\ngot:\n%s\nwant:\n%s", text, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The examples of the documentation of GitHub Actions, "Running variations of jobs in a workflow".

func TestMatrixExample(t *testing.T) {
	expect(t, "matrix: {os: [ubuntu-latest, windows-latest], version: [10, 12, 14]}",
		"os=ubuntu-latest version=10", "os=ubuntu-latest version=12", "os=ubuntu-latest version=14",
		"os=windows-latest version=10", "os=windows-latest version=12", "os=windows-latest version=14")
}

func TestIncludeExample(t *testing.T) {
	expect(t, `
matrix: {fruit: [apple, pear], animal: [cat, dog]}
include:
  - {color: green}
  - {color: pink, animal: cat}
  - {fruit: apple, shape: circle}
  - {fruit: banana}
  - {fruit: banana, animal: cat}`,
		"animal=cat color=pink fruit=apple shape=circle",
		"animal=dog color=green fruit=apple shape=circle",
		"animal=cat color=pink fruit=pear",
		"animal=dog color=green fruit=pear",
		"fruit=banana",
		"animal=cat fruit=banana")
}

func TestIncludeExpands(t *testing.T) {
	expect(t, `
matrix: {os: [windows-latest, ubuntu-latest], node: [14, 16]}
include: [{os: windows-latest, node: 16, npm: 6}]`,
		"node=14 os=windows-latest", "node=16 npm=6 os=windows-latest", "node=14 os=ubuntu-latest", "node=16 os=ubuntu-latest")
}

func TestIncludeAdds(t *testing.T) {
	expect(t, `
matrix: {os: [macos-latest, windows-latest, ubuntu-latest], version: [12, 14, 16]}
include: [{os: windows-latest, version: 17}]`,
		"os=macos-latest version=12", "os=macos-latest version=14", "os=macos-latest version=16",
		"os=windows-latest version=12", "os=windows-latest version=14", "os=windows-latest version=16",
		"os=ubuntu-latest version=12", "os=ubuntu-latest version=14", "os=ubuntu-latest version=16",
		"os=windows-latest version=17")
}

func TestIncludeAlone(t *testing.T) {
	expect(t, "include: [{site: production, datacenter: site-a}, {site: staging, datacenter: site-b}]",
		"datacenter=site-a site=production", "datacenter=site-b site=staging")
}

func TestExcludeExample(t *testing.T) {
	expect(t, `
matrix: {os: [macos-latest, windows-latest], version: [12, 14, 16], environment: [staging, production]}
exclude:
  - {os: macos-latest, version: 12, environment: production}
  - {os: windows-latest, version: 16}`,
		"environment=staging os=macos-latest version=12",
		"environment=staging os=macos-latest version=14", "environment=production os=macos-latest version=14",
		"environment=staging os=macos-latest version=16", "environment=production os=macos-latest version=16",
		"environment=staging os=windows-latest version=12", "environment=production os=windows-latest version=12",
		"environment=staging os=windows-latest version=14", "environment=production os=windows-latest version=14")
}

// "All include combinations are processed after exclude": what was excluded can be added back.
func TestIncludeAfterExclude(t *testing.T) {
	expect(t, `
matrix: {a: [x, y], b: [p, q]}
exclude: [{a: x}]
include: [{a: x, b: p, c: back}]`,
		"a=y b=p", "a=y b=q", "a=x b=p c=back")
}

func TestZipAndNested(t *testing.T) {
	expect(t, "matrix: {a: [x, y]}\nzip: {s: [oil, ink], l: [one, two]}",
		"a=x l=one s=oil", "a=x l=two s=ink", "a=y l=one s=oil", "a=y l=two s=ink")
	expect(t, "zip: [{s: [oil, ink], l: [one, two]}, {p: [1, 2], q: [3, 3]}]",
		"l=one p=1 q=3 s=oil", "l=one p=2 q=3 s=oil", "l=two p=1 q=3 s=ink", "l=two p=2 q=3 s=ink")
	expect(t, `
matrix:
  sampler:
    - {value: euler, matrix: {icfg: "1-2", eta: [0]}}
    - {value: heun, matrix: {icfg: [2, 3]}}
    - dpm
  b: [p, q]`,
		"b=p eta=0 icfg=1 sampler=euler", "b=q eta=0 icfg=1 sampler=euler", "b=p eta=0 icfg=2 sampler=euler", "b=q eta=0 icfg=2 sampler=euler",
		"b=p icfg=2 sampler=heun", "b=q icfg=2 sampler=heun", "b=p icfg=3 sampler=heun", "b=q icfg=3 sampler=heun",
		"b=p sampler=dpm", "b=q sampler=dpm")
}

func TestAxisForms(t *testing.T) {
	expect(t, `matrix: {f: "3.5-5 (+0.5)"}`, "f=3.5", "f=4", "f=4.5", "f=5")
	expect(t, `matrix: {i: ["1-3", 7, "10-20:5"]}`, "i=1", "i=2", "i=3", "i=7", "i=10", "i=15", "i=20")
	expect(t, `matrix: {prompt: "1-5"}`, "prompt=1-5")
	expect(t, `matrix: {i: {from: 1, count: 3}}`, "i=1", "i=2", "i=3")
	expect(t, `matrix: {i: {from: 10, to: 4, step: -3}}`, "i=10", "i=7", "i=4")
	expect(t, `matrix: {f: {from: 0, to: 1, count: 5}}`, "f=0", "f=0.25", "f=0.5", "f=0.75", "f=1")
	expect(t, `matrix: {f: {from: 0.5, count: 3, step: 0.1}}`, "f=0.5", "f=0.6", "f=0.7")
	expect(t, `matrix: {p: [{value: a long text, label: short}, plain]}`, "p=short", "p=plain")
	expect(t, `matrix: {p: [{value: a, label: x}, {value: b, label: x}]}`, "p=x", "p=x #2")
	expect(t, `matrix: {p: [1, "1", true, null]}`, "p=1", "p=1 #2", "p=true", "p=none")
	expect(t, `matrix: {p: {replace: [cat, dog]}}`, "p=cat", "p=dog")
	expect(t, `matrix: {l: {lora: [sd/a.safetensors, b.safetensors], strength: "0.5-1 (+0.5)"}}`, "l=a:0.5", "l=a:1", "l=b:0.5", "l=b:1")
	expect(t, `matrix: {cfg: 7}`, "cfg=7")
	expect(t, `{}`, "")
}

func TestSeeds(t *testing.T) {
	few := list(build(t, "matrix: {seed: {random: 3}}"))
	many := list(build(t, "matrix: {seed: {random: 300}}"))
	if !slices.Equal(few, many[:3]) {
		t.Errorf("drawing more changed the first seeds: %v, %v", few, many[:3])
	}
	if slices.Sort(many); len(slices.Compact(many)) != 300 {
		t.Error("a seed was drawn twice")
	}
	if Draw(1, "a", 0) == Draw(2, "a", 0) || Draw(1, "a", 0) == Draw(1, "b", 0) || Draw(1, "a", 0) >= 1<<53 {
		t.Error("seeds do not depend on the batch's seed and the axis, or are too large")
	}
}

func TestDataFiles(t *testing.T) {
	files := map[string]string{
		"p.txt": "# remark\na fox\r\n\n  a dog  \n", "t.csv": "id,text\n1,\"a, b\"\n2,c\n",
		"j.jsonl": "{\"p\": \"x\"}\n{\"p\": 5}\n", "empty.txt": "\n# nothing\n", "bad.jsonl": "{\"p\": 1}\n{oops\n",
	}
	opt := Options{
		Read: func(name string) (*source.File, error) {
			if text, ok := files[name]; ok {
				return source.NewFile(name, []byte(text)), nil
			}
			return nil, fmt.Errorf("%s: no such file", name)
		},
		Glob: func(pattern string) ([]string, error) {
			if pattern == "photos/*.png" {
				return []string{"photos/a.png", "photos/b.png"}, nil
			}
			return nil, nil
		},
	}
	for text, want := range map[string]string{
		"{lines: p.txt}":                       "x=a fox|x=a dog",
		"{csv: {file: t.csv, column: text}}":   "x=a, b|x=c",
		"{jsonl: {file: j.jsonl, field: p}}":   "x=x|x=5",
		"{files: photos/*.png}":                "x=a.png|x=b.png",
		"{lines: empty.txt}":                   `batch.yaml:1:21: error: axis "x": the file empty.txt has no values [empty_axis]`,
		"{lines: nosuch.txt}":                  `batch.yaml:1:21: error: axis "x": nosuch.txt: no such file [unreadable_file]`,
		"{csv: {file: t.csv, column: txt}}":    `batch.yaml:1:41: error: axis "x": t.csv has no column "txt", only id, text [unknown_column]`,
		"{jsonl: {file: bad.jsonl, field: p}}": `bad.jsonl:2:1: error: axis "x": this line is not JSON [syntax]`,
		"{jsonl: {file: j.jsonl, field: q}}":   `j.jsonl:1:1: error: axis "x": this line has no text or number "q" [unknown_column]`,
		"{files: photos/*.gif}":                `batch.yaml:1:21: error: axis "x": no file fits photos/*.gif [unreadable_file]`,
	} {
		s, findings := Build(parse(t, "matrix: {x: "+text+"}"), opt)
		got := printed(findings)
		if s != nil {
			got = strings.Join(list(s), "|")
		}
		if got != want {
			t.Errorf("%s: got %s\nwant %s", text, got, want)
		}
	}
}

// printed gives the first lines of findings.
func printed(findings []diag.Diagnostic) string {
	var b strings.Builder
	if err := diag.Print(&b, findings, diag.Options{NoExcerpt: true}); err != nil {
		return err.Error()
	}
	first, _, _ := strings.Cut(b.String(), "\n")
	return first
}

func TestFindings(t *testing.T) {
	for text, want := range map[string]string{
		"matrix: {a: []}":                                         `axis "a" has no values [empty_axis]`,
		"matrix: {i: 1-}":                                         `axis "i": the end of the range was expected in the range [bad_range]`,
		"matrix: {i: {from: 1}}":                                  `axis "i": beside from, a to or a count is needed [bad_range]`,
		"matrix: {i: {from: 1, to: 2, step: 0}}":                  `axis "i": a step of 0 never arrives [bad_range]`,
		"matrix: {i: {from: 1, to: 9999999999}}":                  `axis "i": the range has more than 1000000 values [bad_range]`,
		"matrix: {i: {from: 1e99, to: 2}}":                        `axis "i": from is a number of at most 64 characters [bad_range]`,
		"matrix: {seed: {random: 0}}":                             `axis "seed": random is an integer from 1 to 1000000 [bad_axis]`,
		"matrix: {a: [x]}\nzip: {a: [y]}":                         `axis "a" is there twice [duplicate_axis]`,
		"zip: {a: [x, y], b: [z]}":                                `axis "b" has 1 values, but the axes of a zip walk in step and "a" has 2 [zip_length]`,
		"matrix: {sampler: [x]}\nexclude: [{smapler: x}]":         `exclude names an axis "smapler", which matrix and zip do not have [unknown_axis]`,
		"matrix: {a: [x]}\nexclude: [{a: x}]":                     `nothing is left of the sweep: exclude takes every combination [nothing_left]`,
		"matrix: {a: [[1]]}":                                      `a value of axis "a" is a list [bad_axis]`,
		"matrix: {a: {replace: [x]}}":                             `axis "a": replace needs the text that is searched for and at least one other [bad_axis]`,
		"matrix: {a: {lora: [x.safetensors]}}\ninclude: [{a: y}]": `axis "a" has no value y; include can only name values that it has [unknown_value]`,
		"matrix: {i: 1-10000, j: {from: 1, count: 10000}, k: {from: 1, count: 10000}}": `the sweep has 1,000,000,000,000 coordinates; at most 10,000,000 are planned [too_many_renders]`,
	} {
		s, findings := Build(parse(t, text), Options{Kind: numeric})
		got := printed(findings)
		if _, message, _ := strings.Cut(got, "error: "); s != nil || message != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
}

func TestWarnings(t *testing.T) {
	for text, want := range map[string]string{
		"matrix: {a: [{value: 5, matrix: {b: [20, 20, 30]}}]}": `batch.yaml:1:42: warning: axis "b" has the value 20 twice; it is used once [duplicate_value]`,
		"matrix: {a: [x, y, x]}":                               `batch.yaml:1:20: warning: axis "a" has the value x twice; it is used once [duplicate_value]`,
		"matrix: {a: [x]}\nexclude: [{a: z}]":                  `batch.yaml:2:15: warning: axis "a" has no value z, so this excludes nothing [exclude_nothing]`,
	} {
		s, findings := Build(parse(t, text), Options{})
		if got := printed(findings); s == nil || got != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
}

// Long ranges are kept in a compact form, which nobody sees.
func TestLongAxis(t *testing.T) {
	text := "matrix: {seed: {random: 20000}, i: \"1-20000\"}\nexclude: [{i: 7}]\ninclude: [{i: 5, x: a}, {i: 30000}]\nsample: {count: 10}\n"
	s := build(t, text)
	if s.Len() != 10 || s.Axes[1].Len() != 20001 || s.Axes[1].Value(20000).Label != "30000" || s.Axes[1].Original != 20000 {
		t.Fatalf("%d coordinates, %d values", s.Len(), s.Axes[1].Len())
	}
	short := build(t, "matrix: {seed: {random: 2}, i: [5]}")
	long := build(t, "matrix: {seed: {random: 20000}, i: [5]}")
	at := []int{1, 0}
	if short.ID(at) != long.ID(at) || short.Axes[0].Value(1).Label != long.Axes[0].Value(1).Label {
		t.Error("the form changes the values")
	}
	for _, text := range []string{`"1-20000, 1-5"`, `"1-5 [20000]"`} {
		if s := build(t, "matrix: {i: "+text+"}"); s.Axes[0].Len() != 20000 && s.Axes[0].Len() != 5 {
			t.Errorf("%s: %d values", text, s.Axes[0].Len())
		}
	}
	if s := build(t, `matrix: {i: "1-2000, .., 3000"}`); s.Axes[0].Len() != 3000 {
		t.Errorf("%d values", s.Axes[0].Len())
	}
}
