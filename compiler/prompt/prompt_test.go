package prompt

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// files is the library of most tests.
var files = fstest.MapFS{
	"colors.txt":           {Data: []byte("# warm and cold\nred\n\n  green \n0.5::blue\r\n")},
	"colors-cold.txt":      {Data: []byte("blue\ngreen\n")},
	"colors-warm.txt":      {Data: []byte("red\nyellow\n")},
	"seasons.txt":          {Data: []byte("summer\n{autumn|fall}\n")},
	"animals/cats.txt":     {Data: []byte("lion\n")},
	"animals/sea/fish.txt": {Data: []byte("cod\neel\n")},
	"world.txt":            {Data: []byte("a __animals/cats__\nthe __colors-warm__ __animals/sea/fish__\n")},
	"season_clothes.txt":   {Data: []byte("In ${season:summer}, ${season:summer} shirts\n")},
	"needs.txt":            {Data: []byte("a ${thing}\n")},
	"example.yaml": {Data: []byte("clothing:\n  - T-shirt\n  - 2::Pants\nartists:\n  finnish: [Gallen, Järnefelt]\n  deep:\n    - |\n      # note\n" +
		"      cute ${figure} toy,\n      soft\n    - {text: weighted, weight: 3}\n1234: 5678\n")},
	"sub/flat.json": {Data: []byte(`["one", "two", 3]`)},
	"sub/tree.json": {Data: []byte(`{"a": {"b": ["x", "y"]}}`)},
	"loop.txt":      {Data: []byte("x\n__loop2__\n")},
	"loop2.txt":     {Data: []byte("{y|__loop__}\n")},
	"empty.txt":     {Data: []byte("# nothing\n\n")},
	"twice.txt":     {Data: []byte("a\nb\na\n")},
	"bad.yaml":      {Data: []byte("a: [1\n")},
	"broken.txt":    {Data: []byte("fine\nan {open brace\n")},
	"sets.txt":      {Data: []byte("${cfg=!{a|b}}${cfg}${cfg}\n")},
	"readme.md":     {Data: []byte("not a wildcard")},
}

func library(t testing.TB, fs fstest.MapFS) *Library {
	t.Helper()
	lib, _ := LoadLibrary(fs)
	if lib == nil {
		t.Fatal("no library")
	}
	return lib
}

func read(t testing.TB, text string) *Template {
	t.Helper()
	tpl, findings := Parse(source.NewString(text), library(t, files), Options{})
	if tpl == nil {
		t.Fatalf("%q: %v", text, findings)
	}
	return tpl
}

// every gives all results of mode all.
func every(t testing.TB, tpl *Template) []string {
	t.Helper()
	if !tpl.Count().IsInt64() || tpl.Count().Int64() > 10_000 {
		t.Fatalf("%v results", tpl.Count())
	}
	var out []string
	for i := range tpl.Count().Uint64() {
		out = append(out, tpl.All(i))
	}
	return out
}

func TestAll(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"plain (red:1.2) \\(x\\) $5 a_b", "plain (red:1.2) \\(x\\) $5 a_b"},
		{"{summer|winter} is coming", "summer is coming;winter is coming"},
		{"I {love|hate} {York|Rome} in {June|July}", "I love York in June;I love York in July;I love Rome in June;I love Rome in July;" +
			"I hate York in June;I hate York in July;I hate Rome in June;I hate Rome in July"},
		{"A {red|blue|} rose", "A red rose;A blue rose;A  rose"},
		{"a {|red }rose", "a rose;a red rose"},
		{"{}", ""}, {"x{a}y", "xay"}, {"{|}", ";"},
		{"A {red|green {square|circle}}", "A red;A green square;A green circle"},
		{"{a {b|c} {d|e}|f}", "a b d;a b e;a c d;a c e;f"},
		{"{0.5::a|.1::b|3.::c|d}", "a;b;c;d"},
		{"{2$$a|b|c}", "a, b;a, c;b, a;b, c;c, a;c, b"},
		{"{2$$ and $$A|B|C}", "A and B;A and C;B and A;B and C;C and A;C and B"},
		{"{2$$|$$A|B}", "A|B;B|A"},
		{"{2$$$$A|B}", "AB;BA"},
		{"{1-2$$+$$a|b|c}", "a;b;c;a+b;a+c;b+a;b+c;c+a;c+b"},
		{"{-2$$+$$a|b}", "a;b;a+b;b+a"}, {"{2-$$+$$a|b}", "a+b;b+a"}, {"{2-1$$+$$a|b}", "a;b;a+b;b+a"}, {"{-$$+$$a|b}", "a;b;a+b;b+a"},
		{"{0$$a|b} {1$$c|d}", " c; d"}, {"{0-1$$a|b}", ";a;b"},
		{"{2$$ 1| 2}", " 1,  2; 2,  1"},
		{"{3$$-$$square|circle}", "square-circle;circle-square"},
		{"{2$$+$${a|b}|c}", "a+c;b+c;c+a;c+b"},
		{"{2$$+$${a|b}|{c|d}|e}", "a+c;a+d;b+c;b+d;a+e;b+e;c+a;c+b;d+a;d+b;c+e;d+e;e+a;e+b;e+c;e+d"},
		// wildcards
		{"__colors__ rose", "red rose;green rose;blue rose"},
		{"a__colors__b", "aredb;agreenb;ablueb"},
		{"{2$$+$$__colors-cold__}", "blue+green;green+blue"},
		{"{1$$__colors-cold__|x}", "blue;green;x"},
		{"__seasons__", "summer;autumn;fall"},
		{"__colors-*__", "blue;green;red;yellow"}, {"__c?lors-[cw]*__", "blue;green;red;yellow"},
		{"__animals/*__", "lion"}, {"__animals/**__", "lion;cod;eel"}, {"__**/fish__", "cod;eel"}, {"__**/flat__", "one;two;3"},
		{"__world__", "a lion;the red cod;the red eel;the yellow cod;the yellow eel"},
		{"__clothing__ __artists/finnish__", "T-shirt Gallen;T-shirt Järnefelt;Pants Gallen;Pants Järnefelt"},
		{"__sub/a/b__", "x;y"}, {"__twice__", "a;b"},
		{"__artists/deep(figure=elephant)__", "cute elephant toy,\nsoft;weighted"},
		{"{2$$+$$__artists/deep(figure=cat)__}", "cute cat toy,\nsoft+weighted;weighted+cute cat toy,\nsoft"},
		{"__season_clothes__", "In summer, summer shirts"},
		{"__season_clothes(season=winter)__", "In winter, winter shirts"},
		{"__season_clothes(season=!{May|June})__", "In May, May shirts;In June, June shirts"},
		{"__needs(thing={a|b}, c, other=x)__", "a a, c;a b, c"},
		{"${season=!{May|June}}__season_clothes__", "In May, May shirts;In June, June shirts"},
		{"${season={May|June}} __season_clothes__", "In May, May shirts;In May, June shirts;In June, May shirts;In June, June shirts"},
		{"__ a __ b ____", "__ a __ b ____"},
		// variables
		{"${s=!{a|b}} In ${s}, ${s}", "In a, a;In b, b"},
		{"${s={a|b}} ${s}${s}", "aa;ab;ba;bb"},
		{"${s=x}${t=!${s}y}${t}${s=z}${s}", "xyz"},
		{"${v:de{f|g}}", "def;deg"}, {"{${v=!q}${v}|${v:none}}", "q;none"},
		{"${a=!{1|2}}${b=!${a}{x|y}}${b}${b}", "1x1x;1y1y;2x2x;2y2y"},
		// escapes and comments
		{`\{a\|b\} \$\{x\} \_\_y\_\_ \#z \:`, `{a|b} ${x} __y__ #z :`},
		{`{0.5\::a|b\|c}`, `0.5::a;b|c`}, {"$${x} $$ $", "${x} $$ $"},
		{"# Set\n${s={\n   a\n\t|b\n\t# | c  # out\n\t|d\n}\n}\n In ${s:q} # end\n", " In a;In b;In d"},
		{"a // b\nc https://x.y /* {z} */d", "a \nc https://x.y d"},
		{"C# in #ff0000, issue #1", "C# in #ff0000, issue #1"},
		{"{\n  # first\n  a\n  |\n  2::b  \n}", "a;b"},
		// modes of their own
		{"{A|B|C} {@X|Y}", "A X;B Y;C X"}, {"__colors-cold__ __@colors-warm__", "blue red;green yellow"},
		{"{~A|{!B|C}|{D|E}}", "*"},
	} {
		tpl := read(t, c.text)
		if c.want == "*" {
			if tpl.Count().Int64() != 1 {
				t.Errorf("%q: %v results", c.text, tpl.Count())
			}
			continue
		}
		got := strings.Join(every(t, tpl), ";")
		if strings.TrimPrefix(got, " ") != strings.TrimPrefix(c.want, " ") {
			t.Errorf("%q:\n got %q\nwant %q", c.text, got, c.want)
		}
	}
}

func TestCycle(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"A red {square|circle}", "A red square;A red circle;A red square;A red circle;A red square"},
		{"{A|B|C} {X|Y}", "A X;B Y;C X;A Y;B X;C Y;A X"},
		{"A {red|green {square|circle}}", "A red;A green square;A red;A green circle;A red"},
		{"A {2$$+$$a|b}", "A a+b;A b+a;A a+b"},
		{"{!A|B} {x|y|z}", "A x;B y;A z;B x"},
		{"${v=!{a|b}}${v}${v} __colors-warm__", "aa red;bb yellow;aa red"},
		{"plain", "plain;plain"},
	} {
		tpl := read(t, c.text)
		var got []string
		for n := range strings.Count(c.want, ";") + 1 {
			got = append(got, tpl.Cycle(n))
		}
		if strings.Join(got, ";") != c.want {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}

func TestRandomIsReproducible(t *testing.T) {
	tpl, other := read(t, "{a|b|c|d} {1-2$$__colors__} {x|y}"), read(t, "{a|b|c|d} {1-2$$__colors__} {p|q|r}")
	same, different := 0, map[string]bool{}
	for n := range 200 {
		a, b := tpl.Random(7, n), tpl.Random(7, n)
		if a != b {
			t.Fatalf("draw %d gave %q and %q", n, a, b)
		}
		different[a] = true
		if a == tpl.Random(8, n) {
			same++
		}
		left := a[:strings.LastIndex(a, " ")]
		if o := other.Random(7, n); left != o[:strings.LastIndex(o, " ")] {
			t.Fatalf("draw %d: editing the last choice changed the first ones: %q, %q", n, a, o)
		}
	}
	if len(different) < 30 || same > 50 {
		t.Errorf("%d different draws, %d equal ones with another seed", len(different), same)
	}
	if got := read(t, "{!A|B|C} {~X|Y}"); got.Random(1, 0)[0] != 'A' || got.Random(1, 1)[0] != 'B' || got.Random(1, 5)[0] != 'C' {
		t.Error("a choice with ! is walked through in mode random")
	}
}

func TestRandomHonoursWeights(t *testing.T) {
	const draws = 20_000
	for text, want := range map[string]map[string]float64{
		"{3::a|b}":                      {"a": .75, "b": .25},
		"{0::a|b|c}":                    {"b": .5, "c": .5},
		"__colors__":                    {"red": .4, "green": .4, "blue": .2},
		"{59::w|21::l|14::b|8::x}":      {"w": 59. / 102, "l": 21. / 102, "b": 14. / 102, "x": 8. / 102},
		"{2$$-$$2::a|b|c}":              {"a-b": .25, "a-c": .25, "b-a": .25 * 2 / 3, "b-c": .25 / 3, "c-a": .25 * 2 / 3, "c-b": .25 / 3},
		"{1-2$$-$$a|b}":                 {"a": .25, "b": .25, "a-b": .25, "b-a": .25},
		"__twice__":                     {"a": 2. / 3, "b": 1. / 3},
		"{2$$-$$0::a|b|0::c}":           {"b-c": .0, "b-a": .0},
		"${v=!{9::a|b}}${v}{9::${v}|.}": {"aa": .81, "a.": .09, "bb": .09, "b.": .01},
	} {
		tpl := read(t, text)
		counts := map[string]float64{}
		for n := range draws {
			counts[tpl.Random(1, n)] += 1. / draws
		}
		for result, p := range want {
			if p > 0 && (counts[result] < p-.02 || counts[result] > p+.02) {
				t.Errorf("%q: %q came in %.3f of the draws, want %.3f", text, result, counts[result], p)
			}
		}
		for result := range counts {
			if _, ok := want[result]; !ok {
				t.Errorf("%q: %q came up", text, result)
			}
		}
	}
}

func TestPlain(t *testing.T) {
	for text, want := range map[string]bool{"a red fox": true, "": true, "a (b:1.2), c_d # e": false, "{a}": false, `\{`: false, "__colors__": false, "C#": true, "a\nb": true} {
		if got := read(t, text).Plain(); got != want {
			t.Errorf("%q: plain is %v", text, got)
		}
	}
}

func TestHugeCounts(t *testing.T) {
	digits := strings.Repeat("{0|1|2|3|4|5|6|7|8|9}", 30)
	tpl := read(t, digits)
	if want := new(big.Int).Exp(big.NewInt(10), big.NewInt(30), nil); tpl.Count().Cmp(want) != 0 {
		t.Errorf("%v results, want 10^30", tpl.Count())
	}
	for _, i := range []uint64{0, 7, 12345678901234567890} {
		if got, want := tpl.All(i), fmt.Sprintf("%030d", i); got != want {
			t.Errorf("All(%d) is %s", i, got)
		}
	}
	var options []string
	for i := range 60 {
		options = append(options, fmt.Sprint(i))
	}
	tpl = read(t, "{30$$,$$"+strings.Join(options, "|")+"}{a|b}")
	want := big.NewInt(2)
	for i := range int64(30) {
		want.Mul(want, big.NewInt(60-i))
	}
	if tpl.Count().Cmp(want) != 0 {
		t.Errorf("%v permutations, want %v", tpl.Count(), want)
	}
	got := strings.Split(tpl.All(1<<63+1), ",")
	sorted := slices.Clone(got)
	slices.Sort(sorted)
	if len(slices.Compact(sorted)) != 30 || !strings.HasPrefix(tpl.All(0), "0,1,2,") {
		t.Errorf("options come up twice: %v", got)
	}
	tpl = read(t, "{2$$-$$"+digits+"|{a|b}|c}") // options of which some have more variants than fit in 64 bits
	e30 := new(big.Int).Exp(big.NewInt(10), big.NewInt(30), nil)
	want = new(big.Int).Add(new(big.Int).Mul(e30, big.NewInt(6)), big.NewInt(4))
	if tpl.Count().Cmp(want) != 0 {
		t.Errorf("%v, want %v", tpl.Count(), want)
	}
	if got := tpl.All(1); got != strings.Repeat("0", 30)+"-b" {
		t.Errorf("All(1) is %s", got)
	}
}

func TestLibraryNames(t *testing.T) {
	lib, findings := LoadLibrary(files)
	for _, name := range []string{"colors", "animals/sea/fish", "clothing", "artists/finnish", "sub/flat", "sub/a/b", "empty"} {
		if !slices.Contains(lib.Names(), name) {
			t.Errorf("%q is not in %v", name, lib.Names())
		}
	}
	got := printed(findings)
	for _, want := range []string{"bad.yaml:", `"1234" is no list, so it is no wildcard [wildcard_file]`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func printed(findings []diag.Diagnostic) string {
	var b strings.Builder
	diag.Print(&b, findings, diag.Options{})
	return b.String()
}
