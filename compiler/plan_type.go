package compiler

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"sync"

	"github.com/comfyc/comfyc/compiler/filename"
	"github.com/comfyc/comfyc/compiler/graph"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/compiler/sweep"
)

// Plan is all renders of a batch. It is what the scheduler works through and what galleries are made
// from: data, without any I/O. Renders and coordinates are numbers; what they stand for is computed when
// it is asked for, so a plan of a million takes the memory of its ids.
type Plan struct {
	batch   *Batch
	sweep   *sweep.Sweep
	configs []EndpointConfig
	spare   func(name string) (EndpointConfig, bool) // see OtherEndpoint; nil if there is no endpoints file
	axes    []Axis                                   // without values until Axes is called
	filled  sync.Once                                // the values

	forms     []*form // the distinct graphs, at least one
	choice    *choice // which of them a coordinate has
	before    *form   // the workflow before its templates were expanded, for addresses; nil if it uses none
	uploads   map[string]InputFile
	expansion *ExpansionReport // nil if no language model writes prompts
	drawing   *source.Value    // the workflow as the editor saved it; nil if it was not
	requested string           // the output node that the request names, "" for none

	ids []RenderID
	// The three tables are made when two coordinates first share a render; most plans have none of them.
	first    []int32 // by render: its first coordinate; nil if every coordinate has a render of its own
	renderOf []int32 // by coordinate; nil likewise
	next     []int32 // by coordinate: the next one with the same render, -1 at the end; nil likewise

	pattern *filename.Pattern
	tokens  map[string]token
	hash    string
	unfit   map[string][]string // by endpoint: what its worker is known to lack
}

// finish computes what follows from the renders.
func (p *Plan) finish() {
	if p.renderOf != nil {
		p.chain()
	}
	for _, a := range p.sweep.Axes {
		p.axes = append(p.axes, Axis{Name: a.Name})
	}
	if p.before != nil {
		p.nameAddresses(p.before) // these come first: they are the author's own
	}
	for _, f := range p.forms {
		p.nameAddresses(f)
		f.looks = newLook(f)
	}
}

// nameAddresses enters for each axis the inputs that it sets; what templates make of an axis is not among them.
func (p *Plan) nameAddresses(f *form) {
	for i := range f.values.slots {
		s := &f.values.slots[i]
		for _, a := range append(slices.Clone(s.swaps), s.axis, s.variant-1) {
			if address := s.address(f.graph); a >= 0 && !slices.Contains(p.axes[a].Addresses, address) {
				p.axes[a].Addresses = append(p.axes[a].Addresses, address)
			}
		}
	}
}

// chain links the coordinates of each render: first is the head, next leads on, rising.
func (p *Plan) chain() {
	last := make([]int32, len(p.ids))
	p.next = make([]int32, len(p.renderOf))
	for i, r := range p.renderOf {
		p.next[i] = -1
		if p.first[r] != int32(i) {
			p.next[last[r]] = int32(i)
		}
		last[r] = int32(i)
	}
}

// Name is the batch's name.
func (p *Plan) Name() string { return p.batch.Name }

// Batch gives the settings that the plan was made from.
func (p *Plan) Batch() *Batch { return p.batch }

// Graph gives the graph of the first render, with the values of the first coordinate. All renders share it, unless there are several Graphs.
func (p *Plan) Graph() *graph.Graph { return p.formOf(0).graph }

// Graphs lists the distinct graphs, each with the values of its first coordinate: one, unless values of an axis decide which nodes templates make.
func (p *Plan) Graphs() []*graph.Graph {
	out := make([]*graph.Graph, len(p.forms))
	for i, f := range p.forms {
		out[i] = f.graph
	}
	return out
}

// formOf gives the form of a render.
func (p *Plan) formOf(render int) *form { return p.formAt(p.at(render)) }

// formAt gives the form of a coordinate.
func (p *Plan) formAt(at []int) *form { return p.forms[p.choice.form(at)] }

// Endpoints gives the endpoints on which the plan runs, in the batch's order.
func (p *Plan) Endpoints() []EndpointConfig { return p.configs }

// OtherEndpoint gives an endpoint that the batch does not name and the endpoints file that it was compiled with does: an earlier version of the batch
// may have left jobs there. ok is false if there is none of the name, or what is written of it cannot be used. It reads the files that the
// endpoint's models are listed in. Whether its key may go where it points is for the caller to hold.
func (p *Plan) OtherEndpoint(name string) (e EndpointConfig, ok bool) {
	if p.spare == nil {
		return e, false
	}
	return p.spare(name)
}

// Len counts the renders, which are what is paid for; see [Plan.Coordinates].
func (p *Plan) Len() int { return len(p.ids) }

// RenderID gives the id of a render.
func (p *Plan) RenderID(render int) RenderID { return p.ids[render] }

// String prints the id as hex.
func (id RenderID) String() string { return hex.EncodeToString(id[:]) }

// Axes lists the dimensions: those of the matrix and of zip in the order of the batch, then those that
// include adds, then the variants of prompts. Values are made on the first call, which other goroutines
// wait for.
func (p *Plan) Axes() []Axis {
	p.filled.Do(func() {
		for a := range p.axes {
			p.axes[a].Values = make([]AxisValue, p.sweep.Axes[a].Len())
			for v := range p.axes[a].Values {
				p.axes[a].Values[v] = p.sweep.Axes[a].Value(v)
			}
		}
	})
	return p.axes
}

// Coordinates counts the points of the sweep; several may share a render.
func (p *Plan) Coordinates() int { return p.sweep.Len() }

// Coordinate gives one point of the sweep.
func (p *Plan) Coordinate(i int) Coordinate {
	c := Coordinate{Index: i, Render: p.renderAt(i), Values: make([]int, len(p.sweep.Axes))}
	p.sweep.At(i, c.Values)
	c.ID = p.sweep.ID(c.Values)
	return c
}

func (p *Plan) renderAt(coordinate int) int {
	if p.renderOf == nil {
		return coordinate
	}
	return int(p.renderOf[coordinate])
}

func (p *Plan) firstOf(render int) int {
	if p.first == nil {
		return render
	}
	return int(p.first[render])
}

// CoordinatesOf lists the indexes of the coordinates that share a render, rising.
func (p *Plan) CoordinatesOf(render int) []int {
	if p.next == nil {
		return []int{render}
	}
	var out []int
	for i := p.first[render]; i >= 0; i = p.next[i] {
		out = append(out, int(i))
	}
	return out
}

// at gives the axis values of a render's first coordinate.
func (p *Plan) at(render int) []int {
	values := make([]int, len(p.sweep.Axes))
	p.sweep.At(p.firstOf(render), values)
	return values
}

// Render resolves one render: its patches over the graph that it has. An input without a value at the
// render's first coordinate has no patch.
func (p *Plan) Render(render int) Render {
	at := p.at(render)
	f := p.formAt(at)
	out := Render{Index: render, ID: p.ids[render], Graph: f.index, Seed: f.seedAt(at)}
	for i := range f.values.slots {
		s := &f.values.slots[i]
		if v := f.values.value(s, at); v != nil {
			out.Patches = append(out.Patches, Patch{s.node, s.index, v})
		}
	}
	return out
}

// Hash names the plan by what it renders and how that is named and shown: equal plans have equal hashes on every machine. Endpoints and
// schedule do not count. 64 hex digits.
func (p *Plan) Hash() string { return p.hash }

// computeHash covers the axes, the sweep as it is written, the names, and every render with its
// coordinates. It begins with a version, as a render's id does.
func (p *Plan) computeHash() string {
	h := sha256.New()
	text := func(s string) { h.Write(appendText(nil, s)) }
	text("comfyc plan 1")
	for i, a := range p.axes {
		text(a.Name)
		for k := range p.sweep.Axes[i].Len() {
			v := p.sweep.Axes[i].Value(k)
			text(v.Label)
			h.Write(appendValue(nil, v.Value))
		}
	}
	h.Write(appendValue(nil, p.batch.Root.Get("sweep")))
	text(p.batch.Output.Filename)
	h.Write(appendValue(nil, p.batch.Output.Post))
	for _, s := range []string{p.batch.Name, p.batch.Gallery.Title, p.batch.Gallery.Rows, p.batch.Gallery.Cols, p.batch.Gallery.Pages} {
		text(s)
	}
	for i := range p.ids {
		h.Write(p.ids[i][:])
	}
	var number [4]byte
	for _, r := range p.renderOf {
		binary.LittleEndian.PutUint32(number[:], uint32(r))
		h.Write(number[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}
