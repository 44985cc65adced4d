package lower

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// bound is the memory in bytes that a file of a size may take, all that is given out counted.
func bound(size int) uint64 { return 64<<20 + 100*uint64(size) }

// allocated runs something and gives the bytes that it asked for in all: never less than it had at once.
func allocated(run func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	run()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestShapesMemory converts workflows that are large in one way each, and small ones that become large, and holds the bound.
func TestShapesMemory(t *testing.T) {
	cat := nodes.BuiltIn()
	Lower(parse(t, chain(10)), cat, Options{})
	for _, s := range shapes {
		for _, n := range []int{16, 40, 3_000, 12_000} {
			if testing.Short() && n > 40 {
				continue
			}
			text := []byte(s.text(n))
			used := allocated(func() {
				v, err := source.ParseJSON(source.NewFile("s.json", text), source.Limits{Leave: Unread})
				if err != nil {
					t.Fatal(err)
				}
				Lower(v, cat, Options{})
			})
			if used > bound(len(text)) {
				t.Errorf("%s: %d bytes take %d MiB, %d times as much", s.name, len(text), used>>20, used/uint64(len(text)))
			}
		}
	}
}

// FuzzLower reads any text as a workflow of the editor. It must end with a prompt or an error, the same each time, and within bounds.
func FuzzLower(f *testing.F) {
	files, _ := filepath.Glob(filepath.Join("testdata", "*.json"))
	for _, name := range files {
		f.Add([]byte(show(parseFile(f, name).Get("workflow"))))
	}
	for _, s := range shapes {
		f.Add([]byte(s.text(3)))
	}
	cat := nodes.BuiltIn()
	f.Fuzz(func(t *testing.T, data []byte) {
		file := source.NewFile("f.json", data)
		v, err := source.ParseJSON(file, source.Limits{Leave: Unread})
		if err != nil {
			return
		}
		used := allocated(func() { checkLower(t, v, cat) })
		if used > bound(len(data)) {
			t.Errorf("%d bytes of input took %d bytes of memory", len(data), used)
		}
		whole, err := source.ParseJSON(file, source.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		sameLower(t, v, whole, cat)
	})
}

// checkLower holds what must be true of any answer.
func checkLower(t *testing.T, v *source.Value, cat *nodes.Catalogue) {
	t.Helper()
	prompt, findings, ok := Lower(v, cat, Options{Now: noon})
	failed := false
	for _, d := range findings {
		failed = failed || d.Severity.String() == "error"
		if d.Message == "" || d.Code == "" {
			t.Errorf("an empty finding: %+v", d)
		}
	}
	if ok == failed || ok != (prompt != nil) {
		t.Errorf("ok is %v, an error is among the findings: %v, there is a prompt: %v", ok, failed, prompt != nil)
	}
}

// sameLower holds that two readings of one file give the same prompt and as many findings.
func sameLower(t *testing.T, a, b *source.Value, cat *nodes.Catalogue) {
	t.Helper()
	x, xs, _ := Lower(a, cat, Options{Now: noon})
	y, ys, _ := Lower(b, cat, Options{Now: noon})
	if show(x) != show(y) || len(xs) != len(ys) {
		t.Errorf("what a conversion leaves unread changes it: %s, else %s", show(x), show(y))
	}
}

// TestHundredThousand converts a workflow of 100,000 nodes in a row: every node and link arrives, within the bound of memory.
func TestHundredThousand(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	const n = 100_000
	text := []byte(chain(n))
	var prompt *source.Value
	used := allocated(func() {
		v, err := source.ParseJSON(source.NewFile("chain.json", text), source.Limits{Leave: Unread})
		if err != nil {
			t.Fatal(err)
		}
		prompt, _, _ = Lower(v, nodes.BuiltIn(), Options{})
	})
	if prompt == nil || len(prompt.Members) != n {
		t.Fatal("nodes are missing")
	}
	last := prompt.Members[n-1]
	if got := show(last.Value.Get("inputs").Get("image")); last.Key != "100000" || got != `["99999",0]` {
		t.Errorf("node %s takes %s", last.Key, got)
	}
	if used > bound(len(text)) {
		t.Errorf("%d bytes take %d MiB", len(text), used>>20)
	}
}

// TestConcurrent converts the cases of testdata in several goroutines at once, which use each other's memory again.
func TestConcurrent(t *testing.T) {
	cat := nodes.BuiltIn()
	files, _ := filepath.Glob(filepath.Join("testdata", "*.json"))
	var workflows []*source.Value
	var want []string
	for _, name := range files {
		w := parseFile(t, name).Get("workflow")
		prompt, findings, _ := Lower(w, cat, Options{Now: noon})
		workflows, want = append(workflows, w), append(want, show(prompt)+fmt.Sprint(findings))
	}
	var group sync.WaitGroup
	for k := range 4 {
		group.Go(func() {
			for i := range 3 * len(workflows) {
				i = (i*7 + k*13) % len(workflows)
				prompt, findings, _ := Lower(workflows[i], cat, Options{Now: noon})
				if got := show(prompt) + fmt.Sprint(findings); got != want[i] {
					t.Errorf("%s: %.300s, alone %.300s", files[i], got, want[i])
				}
			}
		})
	}
	group.Wait()
}

// TestMangled puts values of other kinds into good workflows, moves links, modes and ids about.
func TestMangled(t *testing.T) {
	cat := nodes.BuiltIn()
	files, _ := filepath.Glob(filepath.Join("testdata", "*.json"))
	rnd := rand.New(rand.NewPCG(3, 4))
	pool := []string{`null`, `true`, `[]`, `0`, `-1`, `4`, `2`, `1e400`, `99999999999999999999`, `"x"`, `"-10"`, `{}`, `[1,1,0,2,0,"*"]`, `{"id":1}`, `"1:2"`, `[[["x"]]]`, `"COMFY_DYNAMICCOMBO_V3"`}
	rounds := 60
	if testing.Short() {
		rounds = 5
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for range rounds {
			v, err := source.ParseJSON(source.NewFile(name, text), source.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			w := v.Get("workflow")
			for range 1 + rnd.IntN(3) {
				change(w, parse(t, pool[rnd.IntN(len(pool))]), rnd)
			}
			checkLower(t, w, cat)
		}
	}
}

// change replaces one value somewhere in a tree, or exchanges two.
func change(v, by *source.Value, rnd *rand.Rand) {
	for range 12 {
		n := len(v.Items) + len(v.Members)
		if n == 0 {
			return
		}
		i := rnd.IntN(n)
		if i < len(v.Items) {
			if rnd.IntN(4) == 0 {
				v.Items[i] = by
				return
			}
			v = v.Items[i]
			continue
		}
		m := &v.Members[i-len(v.Items)]
		if rnd.IntN(6) == 0 {
			m.Value = by
			return
		}
		v = m.Value
	}
}
