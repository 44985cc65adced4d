package lower

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// truthDir finds the cases that were taken from the real frontend; they are kept beside the project.
func truthDir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "shared", "truth")
	if _, err := os.Stat(filepath.Join(dir, "ui2api")); err != nil {
		t.Skip("the cases of ../shared/truth/ui2api are not here")
	}
	return dir
}

func parseFile(t testing.TB, name string) *source.Value {
	t.Helper()
	f, err := source.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	v, err := source.ParseJSON(f, source.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func truthCatalogue(t testing.TB) *nodes.Catalogue {
	t.Helper()
	cat, findings := nodes.Load(parseFile(t, filepath.Join(truthDir(t), "object_info.json")))
	if cat == nil {
		t.Fatal(findings)
	}
	return cat
}

// The frontend adds these to some nodes for its own views; what they send differs from run to run.
var (
	decorations   = map[string]bool{"audioUI": true, "compare_view": true, "upload": true, "upload 3d model": true, "upload extra resources": true, "clear": true}
	decorationsOf = map[string]bool{"SaveGLB.image": true, "Preview3D.image": true, "Preview3DAnimation.image": true, "Load3D.image": true, "Load3DAnimation.image": true}
)

// TestTruth converts every case and compares: same node ids, same class, same inputs; numbers by value.
func TestTruth(t *testing.T) {
	cat := truthCatalogue(t)
	files, _ := filepath.Glob(filepath.Join(truthDir(t), "ui2api", "*.json"))
	right, total := map[string]int{}, map[string]int{}
	for _, f := range files {
		c := parseFile(t, f)
		name := strings.TrimSuffix(filepath.Base(f), ".json")
		group := "template"
		for _, p := range []string{"hard", "blueprint", "sgbp"} {
			if strings.HasPrefix(name, p+"-") {
				group = p
			}
		}
		total[group]++
		if why := verdict(c, cat); why != "" {
			t.Errorf("%s: %s", name, why)
		} else {
			right[group]++
		}
	}
	var groups []string
	for g := range total {
		groups = append(groups, fmt.Sprintf("%s %d/%d", g, right[g], total[g]))
	}
	sort.Strings(groups)
	t.Log(strings.Join(groups, " "))
}

// TestUnread holds that what a conversion says it does not read, it does not read: neither prompts nor findings change without it.
func TestUnread(t *testing.T) {
	cat := truthCatalogue(t)
	files, _ := filepath.Glob(filepath.Join(truthDir(t), "ui2api", "*.json"))
	for _, f := range files {
		text := parseFile(t, f).Get("workflow").AppendJSON(nil)
		file := source.NewFile(f, text)
		whole, err := source.ParseJSON(file, source.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		part, err := source.ParseJSON(file, source.Limits{Leave: Unread})
		if err != nil {
			t.Fatal(err)
		}
		a, as, _ := Lower(whole, cat, Options{Now: noon})
		b, bs, _ := Lower(part, cat, Options{Now: noon})
		if show(a) != show(b) || fmt.Sprint(as) != fmt.Sprint(bs) {
			t.Errorf("%s: %.300s\nin part %.300s", filepath.Base(f), show(a), show(b))
		}
	}
}

func verdict(c *source.Value, cat *nodes.Catalogue) string {
	got, findings, ok := Lower(c.Get("workflow"), cat, Options{})
	want := c.Get("prompt")
	if want == nil || want.Kind == source.Null {
		if ok {
			return "the frontend refuses this workflow"
		}
		return ""
	}
	if !ok {
		return fmt.Sprint("refused: ", findings)
	}
	skip := map[string]bool{}
	for _, p := range items(c.Get("nondeterministic")) {
		skip[textOf(p.Index(0))+"."+textOf(p.Index(1))] = true
	}
	return comparePrompts(got, want, skip)
}

func comparePrompts(got, want *source.Value, skip map[string]bool) string {
	for _, m := range want.Members {
		node := got.Get(m.Key)
		class := m.Value.Get("class_type")
		if class == nil {
			continue // a class unknown to the catalogue
		}
		if node == nil {
			return "node " + m.Key + " is missing"
		}
		if c := node.Get("class_type").Str(); c != class.Text {
			return fmt.Sprintf("node %s: class %q, want %q", m.Key, c, class.Text)
		}
		if why := compareInputs(m.Key, class.Text, node.Get("inputs"), m.Value.Get("inputs"), skip); why != "" {
			return why
		}
	}
	for _, m := range got.Members {
		if want.Get(m.Key) == nil {
			return "node " + m.Key + " should not be there"
		}
	}
	return ""
}

func compareInputs(id, class string, got, want *source.Value, skip map[string]bool) string {
	names := map[string]bool{}
	for _, v := range []*source.Value{got, want} {
		for _, m := range v.Members {
			names[m.Key] = true
		}
	}
	var sorted []string
	for name := range names {
		if !decorations[name] && !decorationsOf[class+"."+name] && !skip[id+"."+name] {
			sorted = append(sorted, name)
		}
	}
	sort.Strings(sorted)
	for _, name := range sorted {
		a, b := got.Get(name), want.Get(name)
		if a == nil || b == nil || !nodes.Equal(a, b) {
			return fmt.Sprintf("node %s %s.%s: %.200s, want %.200s", id, class, name, show(a), show(b))
		}
	}
	return ""
}

func show(v *source.Value) string {
	if v == nil {
		return "<absent>"
	}
	return string(v.AppendJSON(nil))
}
