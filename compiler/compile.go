// The order of the passes, and the state that they share. To follow what becomes of a batch, read the
// list below and then the file of each pass: pass_NAME.go as a rule.

package compiler

import (
	"context"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/lower"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/compiler/sweep"
	"github.com/comfyc/comfyc/nodes"
	"github.com/comfyc/comfyc/nodes/script"
)

// pass is one step of Compile. It adds findings and says whether the next ones have what they need.
// Passes that run for each form see it as if it were the only one.
type pass struct {
	name string
	run  func(*compilation) bool
	each bool // it is run once for each form
}

// passes in order. Errors do not end the compilation by themselves: as many mistakes as possible are
// found in one run. A pass that says false ends it, and must have added an error.
var passes = []pass{
	{"decode", (*compilation).decode, false},       // batch.yaml → settings; what the schema forbids
	{"endpoints", (*compilation).endpoint, false},  // names → configurations; whose key goes where; a budget needs prices
	{"templates", (*compilation).templates, false}, // scripts → the classes that they register
	{"workflow", (*compilation).workflow, false},   // file, request body or UI form → an API prompt
	{"graph", (*compilation).build, false},         // prompt → graph as its author wrote it, for the addresses
	{"address", (*compilation).address, false},     // inputs, set, bind and axis names → inputs of nodes
	{"layout", (*compilation).layout, false},       // the gallery's axes exist
	{"sweep", (*compilation).axes, false},          // matrix, zip, include, exclude, sample → coordinates
	{"bind", (*compilation).bind, false},           // every input that is set or varies → where its value comes from
	{"prompts", (*compilation).prompts, false},     // dynamic prompts → the texts that they stand for, which multiply the sweep
	{"expand", (*compilation).expand, false},       // nodes that use templates → the nodes that these make; each different graph is a form
	{"check", (*compilation).check, true},          // the graph with the batch's values; each further value of an axis once
	{"outputs", (*compilation).owed, true},         // which outputs are owed, and what they need
	{"reduce", (*compilation).reduce, true},        // which nodes are sent: dead ones and equal ones are not
	{"plan", (*compilation).begin, false},          // the forms together, from here on
	{"workers", (*compilation).workers, false},     // what each endpoint's worker is known to lack
	{"render", (*compilation).render, false},       // each coordinate → a render and its id; equal renders become one
	{"seeds", (*compilation).seeds, false},         // a sweep that leaves the seed alone
	{"names", (*compilation).names, false},         // no two renders share a file name
	{"seal", (*compilation).seal, false},           // the plan's hash
}

// Compile turns a batch into a plan. The plan is nil if there is an error among the findings, which are sorted by place. It reads files and
// environment variables, and stops early when ctx is done. It calls no endpoint and writes nothing, but for what Source.Asker does.
func Compile(ctx context.Context, src Source) (*Plan, []diag.Diagnostic) {
	c := newCompilation(ctx, src)
	defer c.close()
	for _, p := range passes {
		// Looked at between passes; those that take long look themselves.
		if ctx.Err() != nil {
			c.list.Add(diag.Errorf("cancelled", diag.Place{}, "stopped before the plan was made"))
		}
		if !c.pass(&p) || ctx.Err() != nil {
			break
		}
	}
	if c.list.Failed() {
		return nil, c.list.Sorted()
	}
	return c.plan, c.list.Sorted()
}

// pass runs one pass, for each form if it is one of those. The first form is the one at hand afterwards.
func (c *compilation) pass(p *pass) bool {
	if !p.each {
		return p.run(c)
	}
	ok := true
	for _, c.form = range c.forms {
		ok = p.run(c) && ok
	}
	c.form = c.forms[0]
	return ok
}

// compilation is the state that the passes share.
type compilation struct {
	*form // the one at hand; its fields are the compilation's

	ctx   context.Context // lives as long as one call of Compile
	src   Source
	files reader           // relative paths, and what a batch may read
	cat   *nodes.Catalogue // with the classes of the batch's templates, once they are loaded
	list  diag.List        // findings of all passes

	batch     *Batch
	configs   []EndpointConfig // the endpoints, decoded, in the batch's order
	spare     func(name string) (EndpointConfig, bool)
	request   *source.Value     // what the workflow's file holds, of which the prompt may be a part
	converted []diag.Diagnostic // what the conversion from the UI form found
	drawing   *source.Value     // the workflow in UI form, nil if it was not written so

	uses    []axisUse    // by name, in the order of the sweep
	fixed   []fixed      // set and inputs
	sweep   *sweep.Sweep // as built; prompts multiply it in place
	plan    *Plan        // nil before the pass plan
	scripts *script.Set  // nil if the batch has no templates
	hung    bool         // a script passed its limits of time or memory

	promoted []lower.Promoted  // the promoted inputs of subgraph instances
	renamed  map[string]string // nodes inside of them: their path of ids in the file → their id in the prompt, where that is another

	expander        EndpointConfig // of prompts.expand
	expanderAt      *source.Value
	expansionReport *ExpansionReport // nil if no prompt is expanded

	forms  []*form
	choice *choice // which form a coordinate has
	before *form   // the workflow before its templates were expanded; nil if it uses none
}

// newCompilation has one empty form, which the passes up to expand fill in.
func newCompilation(ctx context.Context, src Source) *compilation {
	c := &compilation{ctx: ctx, src: src, files: src.reader(), cat: src.Catalogue, form: &form{}, choice: &choice{}}
	c.forms = []*form{c.form}
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
		b.Seed = *c.src.Seed // --seed
	}
	if c.src.MaxUSD > 0 {
		b.Schedule.BudgetUSD, b.Schedule.budget = c.src.MaxUSD, diag.InFile(c.src.File)
	}
	c.batch = b
	if c.src.FS != nil && b.Root.Get("name").Str() == "" {
		b.Name = stemOf(c.src.File.Name) // it did not come from a folder here, and must not be called after one
	}
	if dir := b.Root.Get("output").Get("dir"); dir != nil && c.src.FS != nil {
		c.list.Add(diag.Errorf("not_here", diag.Of(dir), "a batch that is sent to a service does not say where files go on the server"))
	}
	if v := b.Root.Get("notify").Get("secret_env"); v != nil && c.src.FS != nil {
		c.list.Add(diag.Errorf("not_here", diag.Of(v), "a batch that is sent to a service does not name the server's environment variables; the service signs with the key's own secret"))
	}
	return true
}
