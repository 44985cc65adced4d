package prompt

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/comfyc/comfyc/compiler/source"
	"pgregory.net/rapid"
)

// tree is a prompt that can be written down and enumerated in the plain way: by nested loops.
type tree struct {
	leaf     string
	kids     []tree // of a sequence or a choice
	choice   bool
	min, max int
}

func (d tree) write() string {
	var parts []string
	for _, k := range d.kids {
		parts = append(parts, k.write())
	}
	switch {
	case d.choice && d.min == 1 && d.max == 1:
		return "{" + strings.Join(parts, "|") + "}"
	case d.choice:
		return fmt.Sprintf("{%d-%d$$+$$%s}", d.min, d.max, strings.Join(parts, "|"))
	}
	return d.leaf + strings.Join(parts, "")
}

// results enumerates in the documented order.
func (d tree) results() []string {
	if !d.choice {
		out := []string{d.leaf}
		for _, k := range d.kids {
			out = product(out, k.results(), "")
		}
		return out
	}
	var out []string
	for count := d.min; count <= d.max; count++ {
		out = append(out, d.take(count, nil)...)
	}
	return out
}

// take enumerates the results of count more options behind those that are taken.
func (d tree) take(count int, taken []int) []string {
	if count == 0 {
		out := []string{""}
		for i, k := range taken {
			out = product(out, d.kids[k].results(), []string{"", "+"}[min(i, 1)])
		}
		return out
	}
	var out []string
	for i := range d.kids {
		if !slices.Contains(taken, i) {
			out = append(out, d.take(count-1, append(slices.Clone(taken), i))...)
		}
	}
	return out
}

func product(left, right []string, between string) (out []string) {
	for _, l := range left {
		for _, r := range right {
			out = append(out, l+between+r)
		}
	}
	return out
}

// trees draws prompts with letters that are all different, so that every result is.
func trees(t *rapid.T, letters *int, depth int) tree {
	kind := rapid.IntRange(0, 4).Draw(t, "kind")
	if depth == 0 || kind == 0 {
		*letters++
		return tree{leaf: fmt.Sprintf("<%d>", *letters)}
	}
	d := tree{choice: kind > 1, min: 1, max: 1}
	for range rapid.IntRange(1, 3).Draw(t, "kids") {
		d.kids = append(d.kids, trees(t, letters, depth-1))
	}
	if kind > 3 {
		d.min = rapid.IntRange(0, len(d.kids)).Draw(t, "min")
		d.max = rapid.IntRange(d.min, len(d.kids)).Draw(t, "max")
	}
	return d
}

func TestAllIsTheProduct(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		letters := 0
		d := trees(t, &letters, 3)
		tpl, findings := Parse(source.NewString(d.write()), nil, Options{})
		if tpl == nil {
			t.Fatalf("%s: %v", d.write(), findings)
		}
		if tpl.Count().IsInt64() && tpl.Count().Int64() > 20_000 {
			t.Skip("large")
		}
		want := d.results()
		if tpl.Count().Int64() != int64(len(want)) {
			t.Fatalf("%s: %v results, want %d", d.write(), tpl.Count(), len(want))
		}
		for i, w := range want {
			if got := tpl.All(uint64(i)); got != w {
				t.Fatalf("%s: All(%d) is %q, want %q", d.write(), i, got, w)
			}
		}
		sorted := slices.Clone(want)
		slices.Sort(sorted)
		if len(slices.Compact(sorted)) != len(want) && !strings.Contains(d.write(), "{0-") {
			t.Fatalf("%s: results come up twice", d.write())
		}
		for n := range 20 {
			if r, c := tpl.Random(3, n), tpl.Cycle(n); !slices.Contains(want, r) || !slices.Contains(want, c) {
				t.Fatalf("%s: %q or %q is none of mode all", d.write(), r, c)
			}
		}
	})
}

// TestManyAtOnce runs under the race detector: one library and one template for many.
func TestManyAtOnce(t *testing.T) {
	lib := library(t, files)
	shared, _ := Parse(source.NewString("${c=!__colors__}${c} __world__ {2$$__colors*__}"), lib, Options{})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			own, _ := Parse(source.NewString("__animals/**__ __world__ __season_clothes(season=x)__"), lib, Options{})
			for n := range 50 {
				random, all := own.Random(1, n), shared.All(uint64(g*50+n))
				if random != own.Random(1, n) || all != shared.All(uint64(g*50+n)) {
					t.Error("results differ")
				}
			}
		})
	}
	wg.Wait()
}

// FuzzParse looks for panics, and for results that are not bounded.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"{a|b} {2$$ and $$a|b|c} {1-2$$__colors*__}", "${v=!{a|b}}${v}${v:x}", "__season_clothes(season=!{a|b}, x=y)__", "{@a|{~b|{!c|d}}}",
		"# c\n{\n a // x\n | b /* y */ }", `\{\}\__ $${x} }`, "{0.5::a|-1::b}", "{2-$$__w__|{x|y}|z}", "${a=${b=!x}${b}}${a}", "__loop__", "{{{{|", "__*__ __**__",
	} {
		f.Add(seed)
	}
	lib, _ := LoadLibrary(files)
	f.Fuzz(func(t *testing.T, text string) {
		slow := time.AfterFunc(2*time.Minute, func() { panic(fmt.Sprintf("takes too long: %q", text)) })
		defer slow.Stop()
		tpl, findings := Parse(source.NewString(text), lib, Options{Reserved: []string{"x"}})
		if len(findings) > 2*maxFindings || tpl == nil && len(findings) == 0 {
			t.Fatalf("%d findings", len(findings))
		}
		if tpl == nil {
			return
		}
		if tpl.Count().Sign() <= 0 {
			t.Fatalf("%v results", tpl.Count())
		}
		for _, i := range []uint64{0, 1, 1 << 40, 1<<64 - 1} {
			for _, out := range []string{tpl.All(i), tpl.Random(i, int(i&0xffff)), tpl.Cycle(int(i & 0xffff))} {
				if len(out) > maxOutput {
					t.Fatalf("%d bytes", len(out))
				}
			}
		}
	})
}

// values is a wildcard file of many lines.
func values(n int) fstest.MapFS {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "value %d of {many|several}\n", i)
	}
	return fstest.MapFS{"many.txt": {Data: []byte(b.String())}}
}

const benchmarked = "a {red|{dark|light} green|0.5::blue} fox in {2$$ and $$snow|rain|fog}, __many__, ${s=!{oil|ink}}${s} painting, ${s}"

func BenchmarkLoadLibrary50000(b *testing.B) {
	fs := values(50_000)
	for b.Loop() {
		LoadLibrary(fs)
	}
}

func BenchmarkParse(b *testing.B) {
	lib, _ := LoadLibrary(values(50_000))
	v := source.NewString(benchmarked)
	for b.Loop() {
		Parse(v, lib, Options{})
	}
}

func BenchmarkResults(b *testing.B) {
	lib, _ := LoadLibrary(values(50_000))
	tpl, _ := Parse(source.NewString(benchmarked), lib, Options{})
	b.Logf("%v results", tpl.Count())
	for name, next := range map[string]func(i int) string{
		"all":    func(i int) string { return tpl.All(uint64(i)) },
		"random": func(i int) string { return tpl.Random(1, i) },
		"cycle":  tpl.Cycle,
	} {
		b.Run(name, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				next(i)
			}
		})
	}
}
