package view

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler/source"
)

// spec is a workflow made by chance: class, one literal and links by node.
type spec struct {
	class   []string
	literal []int
	title   []string
	links   [][]int
}

var classes = []string{"ImageInvert", "ImageScaleBy", "SaveImage", "EmptyImage", "Unheard", "KSampler"}

// fromBytes makes a workflow of at most 24 nodes. With cycles, links may lead anywhere.
func fromBytes(data []byte, cycles bool) *spec {
	next := func() int {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return int(b)
	}
	s := &spec{}
	for i, n := 0, 1+next()%24; i < n; i++ {
		s.class = append(s.class, classes[next()%len(classes)])
		s.literal = append(s.literal, next()%4)
		s.title = append(s.title, []string{"", "", "A", "<b>"}[next()%4])
		var links []int
		for range next() % 4 {
			to := next()
			switch {
			case cycles:
				links = append(links, to%n)
			case i > 0:
				links = append(links, to%i)
			}
		}
		s.links = append(s.links, links)
	}
	return s
}

// json writes the workflow with the nodes in an order, and with ids that id gives.
func (s *spec) json(order []int, id func(int) string) []byte {
	var b strings.Builder
	b.WriteByte('{')
	for n, i := range order {
		if n > 0 {
			b.WriteByte(',')
		}
		inputs := []string{fmt.Sprintf(`"width":%d`, s.literal[i])}
		for k, to := range s.links[i] {
			inputs = append(inputs, fmt.Sprintf(`"image%d":[%q,0]`, k, id(to)))
		}
		if n%2 == 1 { // the order of inputs means nothing
			inputs = append(inputs[1:], inputs[0])
		}
		fmt.Fprintf(&b, `%q:{"class_type":%q,"inputs":{%s},"_meta":{"title":%q}}`, id(i), s.class[i], strings.Join(inputs, ","), s.title[i])
	}
	b.WriteByte('}')
	return []byte(b.String())
}

func (s *spec) view(t testing.TB, order []int, id func(int) string) *View {
	return viewOf(t, source.NewFile("made.json", s.json(order, id)))
}

// plain gives the nodes in their order with their indexes as ids; mixed gives them in any order with ids drawn anew.
func (s *spec) plain(t testing.TB) *View {
	order := make([]int, len(s.class))
	for i := range order {
		order[i] = i
	}
	return s.view(t, order, strconv.Itoa)
}

func (s *spec) mixed(t testing.TB, r *rand.Rand) *View {
	ids := r.Perm(len(s.class))
	return s.view(t, r.Perm(len(s.class)), func(i int) string { return strconv.Itoa(ids[i]) })
}

// Another order and other ids are no difference, with cycles too.
func TestDiffIgnoresIDs(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 200 {
		s := fromBytes(noise(r, 120), n%3 == 0)
		a, b := s.plain(t), s.mixed(t, r)
		if c := Diff(a, b, DiffOptions{}); !c.Equal() || c.Same != len(a.Nodes) {
			var out bytes.Buffer
			_ = c.Print(&out)
			t.Fatalf("case %d: a workflow differs from itself with other ids:\n%s\n%s", n, out.Bytes(), a.JSON())
		}
	}
}

// The same two workflows always differ in the same way, also where two nodes could explain a change.
func TestDiffIsStable(t *testing.T) {
	text := func(links ...string) string {
		out := `"1":{"class_type":"CheckpointLoaderSimple","inputs":{"ckpt_name":"a"}},"6":{"class_type":"CLIPTextEncode","inputs":{"text":"x","clip":["1",1]}},
			"7":{"class_type":"CLIPTextEncode","inputs":{"text":"y","clip":["1",1]}},"8":{"class_type":"CLIPTextEncode","inputs":{"text":"z","clip":["1",1]}}`
		for i, l := range links {
			out += fmt.Sprintf(`,"%d":{"class_type":"KSampler","inputs":{"seed":%d,"positive":["%c",0],"negative":["%c",0]}}`, 20+i, i, l[0], l[1])
		}
		return "{" + out + "}"
	}
	var first string
	for range 100 {
		a := viewOf(t, source.NewFile("a.json", []byte(text("66"))))
		b := viewOf(t, source.NewFile("b.json", []byte(text("67", "86"))))
		var out bytes.Buffer
		if err := Diff(a, b, DiffOptions{}).Print(&out); err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = out.String()
		}
		if out.String() != first {
			t.Fatalf("once\n%s\nonce\n%s", first, out.String())
		}
	}
}

// One changed value is one changed input of one node, whatever the ids; unless a twin of the node explains it as well.
func TestDiffFindsOneValue(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for n := range 150 {
		s := fromBytes(noise(r, 120), false)
		a := s.plain(t)
		s.literal[r.IntN(len(s.literal))] = 77
		c := Diff(a, s.mixed(t, r), DiffOptions{})
		if c.Equal() {
			t.Fatalf("case %d: no difference is found", n)
		}
		found := false
		for _, change := range c.Changed {
			for _, in := range change.Inputs {
				found = found || in.Name == "width" && in.New.Literal != nil && in.New.Literal.Value.Text == "77"
			}
		}
		if !found || len(c.Removed)+len(c.Added) > 0 {
			var out bytes.Buffer
			_ = c.Print(&out)
			t.Fatalf("case %d: the changed value is not said, or nodes were lost:\n%s", n, out.Bytes())
		}
	}
}

// A changed value in the middle is all that is said where all nodes are alike.
func TestDiffInAChain(t *testing.T) {
	s := &spec{}
	for i := range 300 {
		s.class, s.literal, s.title = append(s.class, "ImageInvert"), append(s.literal, 1), append(s.title, "")
		s.links = append(s.links, nil)
		if i > 0 {
			s.links[i] = []int{i - 1}
		}
	}
	a := s.plain(t)
	s.literal[150] = 2
	c := Diff(a, s.mixed(t, rand.New(rand.NewPCG(5, 6))), DiffOptions{})
	if len(c.Changed) != 1 || len(c.Changed[0].Inputs) != 1 || c.Same != 299 || c.Changed[0].A.ID != "150" {
		t.Errorf("%d changed, %d removed, %d added, %d the same", len(c.Changed), len(c.Removed), len(c.Added), c.Same)
	}
}

func noise(r *rand.Rand, n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(r.Uint32())
	}
	return out
}

// Whatever the workflow is, all formats write it, the SVG is well-formed, and its boxes do not overlap.
func FuzzView(f *testing.F) {
	f.Add([]byte{5, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, true)
	f.Add([]byte{24, 3, 3, 3, 3, 3, 3, 3, 1, 1, 1, 1}, false)
	f.Fuzz(func(t *testing.T, data []byte, cycles bool) {
		s := fromBytes(data, cycles)
		a := s.plain(t)
		for _, format := range Formats {
			out := format.Write(a)
			if format.Name == "svg" {
				wellFormed(t, out)
			}
		}
		noOverlap(t, a)
		b := s.mixed(t, rand.New(rand.NewPCG(uint64(len(data)), 1)))
		if c := Diff(a, b, DiffOptions{}); !c.Equal() {
			t.Fatalf("a workflow differs from itself with other ids:\n%s", c.ToValue().Indent())
		}
	})
}

func noOverlap(t testing.TB, v *View) {
	t.Helper()
	l := layoutOf(v)
	for i := range l.boxes {
		for j := range i {
			a, b := &l.cells[i], &l.cells[j]
			if a.x < b.x+l.boxes[j].w && b.x < a.x+l.boxes[i].w && a.y+0.01 < b.y+b.h && b.y+0.01 < a.y+a.h {
				t.Fatalf("nodes %d and %d are drawn over each other: %+v %+v", i, j, a, b)
			}
		}
	}
}

func layoutOf(v *View) *layout {
	boxes := make([]box, len(v.Nodes))
	for i := range v.Nodes {
		f := v.newFace(i)
		boxes[i] = f.box()
	}
	return newLayout(v, boxes)
}
