package compiler

import (
	"context"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/graph"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/compiler/sweep"
	"github.com/comfyc/comfyc/nodes"
	"github.com/comfyc/comfyc/nodes/script"
)

// pass is one step of Compile. It adds findings and says whether the next ones have what they need.
type pass struct {
	name string
	run  func(*compilation) bool
}

// passes in order. Errors do not end the compilation by themselves: as many mistakes as possible are found in one run.
var passes = []pass{
	{"decode", (*compilation).decode},       // batch.yaml → settings; what the schema forbids
	{"endpoints", (*compilation).endpoint},  // names → configurations; whose key goes where; a budget needs prices
	{"templates", (*compilation).templates}, // scripts → the classes that they register
	{"workflow", (*compilation).workflow},   // file, request body or UI form → an API prompt
	{"graph", (*compilation).build},         // prompt → graph as its author wrote it, for the addresses
	{"address", (*compilation).address},     // inputs, set, bind and axis names → inputs of nodes
	{"layout", (*compilation).layout},       // the gallery's axes exist
	{"sweep", (*compilation).axes},          // matrix, zip, include, exclude, sample → coordinates
	{"bind", (*compilation).bind},           // every input that is set or varies → where its value comes from
	{"prompts", (*compilation).prompts},     // dynamic prompts → the texts that they stand for, which multiply the sweep
	{"expand", (*compilation).expand},       // nodes that use templates → the nodes that these make
	{"check", (*compilation).check},         // the graph with the batch's values; each further value of an axis once
	{"outputs", (*compilation).owed},        // which outputs are owed, and what they need
	{"reduce", (*compilation).reduce},       // which nodes are sent: dead ones and equal ones are not
	{"workers", (*compilation).workers},     // what each endpoint's worker is known to lack
	{"render", (*compilation).render},       // each coordinate → a render and its id; equal renders become one
	{"seeds", (*compilation).seeds},         // a sweep that leaves the seed alone
	{"names", (*compilation).names},         // no two renders share a file name
	{"seal", (*compilation).seal},           // the plan's hash
}

// Compile turns a batch into a plan. The plan is nil if there is an error among the findings, which are sorted by place. It reads files and
// environment variables, calls no endpoint, and stops early when ctx is done.
func Compile(ctx context.Context, src Source) (*Plan, []diag.Diagnostic) {
	c := newCompilation(ctx, src)
	defer c.close()
	for _, p := range passes {
		if ctx.Err() != nil {
			c.list.Add(diag.Errorf("cancelled", diag.Place{}, "stopped before the plan was made"))
		}
		if !p.run(c) || ctx.Err() != nil {
			break
		}
	}
	if c.list.Failed() {
		return nil, c.list.Sorted()
	}
	return c.plan, c.list.Sorted()
}

// compilation is the state that the passes share.
type compilation struct {
	ctx   context.Context // lives as long as one call of Compile
	src   Source
	files reader
	cat   *nodes.Catalogue
	list  diag.List

	batch     *Batch
	configs   []EndpointConfig
	request   *source.Value // what the workflow's file holds, of which the prompt may be a part
	prompt    *source.Value
	converted []diag.Diagnostic // what the conversion from the UI form found
	written   *graph.Graph      // as its author wrote it
	graph     *graph.Graph      // with the batch's values, once they are known

	uses   []axisUse // by name, in the order of the sweep
	fixed  []fixed   // set and inputs
	sweep  *sweep.Sweep
	values *resolver
	plan   *Plan

	scripts   *script.Set       // nil if the batch has no templates
	expansion *script.Expansion // nil if the workflow uses none
}

func newCompilation(ctx context.Context, src Source) *compilation {
	c := &compilation{ctx: ctx, src: src, files: src.reader(), cat: src.Catalogue}
	if c.cat == nil {
		c.cat = nodes.BuiltIn()
	}
	return c
}

// close ends the process that ran the templates.
func (c *compilation) close() {
	if c.scripts != nil {
		_ = c.scripts.Close()
	}
}

// decode reads the batch file.
func (c *compilation) decode() bool {
	b, findings := LoadBatch(c.src.File)
	c.list.Add(findings...)
	if b == nil {
		return false
	}
	if c.src.Seed != nil {
		b.Seed = *c.src.Seed
	}
	if c.src.MaxUSD > 0 {
		b.Schedule.BudgetUSD, b.Schedule.budget = c.src.MaxUSD, diag.InFile(c.src.File)
	}
	c.batch = b
	if dir := b.Root.Get("output").Get("dir"); dir != nil && c.src.FS != nil {
		c.list.Add(diag.Errorf("not_here", diag.Of(dir), "a batch that is sent to a service does not say where files go on the server"))
	}
	return true
}
