package run

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render"
	"github.com/comfyc/comfyc/render/cache"
	"github.com/comfyc/comfyc/scheduler"
)

// An entry is found by what makes the picture: the render's id (a hash of its graph), the worker's image and, where it is configured, the
// models' contents. So a hit is the file that the same endpoint would give, and the order of the endpoints decides when several could.

// reuser joins a plan with a cache: it finds renders there, brings them into the run directory through the collector, as if an endpoint had just
// given them, and keeps there what endpoints really give. Trouble with the cache never ends a run. It implements scheduler.Reuser and render.Keeper.
type reuser struct {
	plan  *compiler.Plan
	cache *cache.Cache
	ends  []compiler.EndpointConfig // whose renders may stand in, and are kept
	sink  *render.Collector

	mu     sync.Mutex
	safe   map[int][]render.Original // files of renders that are not complete
	fails  int                       // writes that failed in a row
	stored int                       // entries written
	err    error                     // the last trouble
}

// maxCacheFails is how many writes may fail in a row before nothing more is written in this run: a full disk or a bucket that is away would
// otherwise slow down every render. Reading goes on.
const maxCacheFails = 3

// lenders are the endpoints whose renders are kept, and may stand in: all but previews.
func lenders(configs []compiler.EndpointConfig) (out []compiler.EndpointConfig) {
	for _, e := range configs {
		if _, ok := cache.Worker(e); ok {
			out = append(out, e)
		}
	}
	return out
}

// keys lists the keys under which a render may be found: one for each distinct maker among the endpoints, in their order.
func (r *reuser) keys(i int) (keys []cache.Key) {
	for k := range r.ends {
		if key, ok := r.key(&r.ends[k], i); ok && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// key is that of a render as an endpoint makes it.
func (r *reuser) key(e *compiler.EndpointConfig, i int) (cache.Key, bool) {
	worker, ok := cache.Worker(*e)
	if !ok {
		return cache.Key{}, false
	}
	models, err := r.models(e, i)
	return cache.KeyOf(r.plan.RenderID(i), worker, models), err == nil
}

// models lists what an endpoint says of a render's models. The job is built only if it says anything.
func (r *reuser) models(e *compiler.EndpointConfig, i int) ([]string, error) {
	if len(e.Aliases) == 0 && len(e.ModelHashes) == 0 {
		return nil, nil
	}
	job, err := r.plan.Job(i)
	if err != nil {
		return nil, err
	}
	return cache.Models(*e, job.Models), nil
}

// Known implements scheduler.Reuser.
func (r *reuser) Known(ctx context.Context, renders []int) (known []int) {
	// keys and of are as long: of[k] is the render for which keys[k] is looked up. One question for all keys, since a cache may be far away.
	var keys []cache.Key
	var of []int
	for _, i := range renders {
		for _, k := range r.keys(i) {
			keys, of = append(keys, k), append(of, i)
		}
	}
	there, err := r.cache.Known(ctx, keys)
	if err != nil {
		r.trouble(fmt.Errorf("look into the cache %s: %w", r.cache, err))
		return nil
	}
	// A render with several keys has them side by side, so the last one that was found tells whether it is known already.
	for k, i := range of {
		if there[k] && (len(known) == 0 || known[len(known)-1] != i) {
			known = append(known, i)
		}
	}
	return known
}

// Reuse implements scheduler.Reuser.
func (r *reuser) Reuse(ctx context.Context, i int) (got scheduler.Reused, ok bool, err error) {
	// The first maker whose entry is whole is taken. Trouble with one entry never ends the run: in the end the render is rendered.
	for _, key := range r.keys(i) {
		e, err := r.cache.Get(ctx, key)
		if errors.Is(err, cache.ErrMissing) {
			continue
		} else if err != nil {
			r.trouble(fmt.Errorf("read the cache %s: %w", r.cache, err))
			continue
		}
		if got, ok, err = r.adopt(ctx, i, key, e); ok || err != nil {
			return got, ok, err
		}
	}
	return got, false, nil
}

// adopt brings the files of an entry into the run directory.
func (r *reuser) adopt(ctx context.Context, i int, key cache.Key, e cache.Entry) (got scheduler.Reused, ok bool, err error) {
	job, err := r.plan.Job(i)
	if err != nil {
		return got, false, nil // the scheduler will say so
	}
	outputs, byName := r.outputs(job, e)
	var broken error
	// The collector checks hashes, names the files, post-processes and syncs them as those of a remote, so that a hit is as durable. Attempt is 0,
	// by which lender knows that this came from the cache and must not be put there again.
	collected, err := r.sink.Collect(ctx, scheduler.Result{
		Job: job, Outputs: outputs, Endpoint: scheduler.Properties{Name: e.Endpoint, GPU: e.GPU}, Finished: e.Rendered,
		Execution: time.Duration(e.Seconds * float64(time.Second)), CostUSD: e.CostUSD,
		Fetch: func(ctx context.Context, out scheduler.Output) (io.ReadCloser, error) {
			body, err := r.cache.Open(ctx, byName[out.Filename])
			if err != nil {
				// The collector makes one error of all that it cannot fetch; what the cache said itself is kept for the trouble below.
				broken = err
				return nil, &scheduler.Error{Kind: scheduler.Lost, Endpoint: "the cache", Op: "fetch", Message: err.Error(), Err: err}
			}
			return body, nil
		},
	})
	switch {
	case err != nil:
		return got, false, err
	case len(collected.Done) == 0:
		if broken != nil && !errors.Is(broken, cache.ErrMissing) {
			r.trouble(fmt.Errorf("read the cache %s: %w", r.cache, broken))
		} else if err := r.cache.Drop(ctx, key); err != nil { // it is not whole
			r.trouble(err)
		}
		return got, false, nil
	}
	r.cache.Used(ctx, key)
	// One render was asked for, so at most one is done.
	files := collected.Done[0].Files
	for k := range files {
		files[k].Reused = &scheduler.Origin{Batch: e.Batch, Rendered: e.Rendered, Seconds: e.Seconds, CostUSD: e.CostUSD}
	}
	return scheduler.Reused{Files: files, Endpoint: e.Endpoint, GPU: e.GPU}, true, nil
}

// outputs gives the files of an entry the names that this job's worker would have given them: prefix, a number of five digits from 1, and an
// underscore, as ComfyUI's SaveImage does. By these names the collector knows which owed output a file is.
func (r *reuser) outputs(job *compiler.Job, e cache.Entry) (outputs []scheduler.Output, byName map[string]cache.File) {
	byName = map[string]cache.File{}
	for _, o := range r.owed(job, job.Renders[0]) {
		for _, f := range e.Files {
			if f.Output == o.id && f.Twin == o.twin {
				name := fmt.Sprintf("%s_%05d_%s", o.Prefix, f.Batch+1, f.Ext)
				byName[name] = f
				outputs = append(outputs, scheduler.Output{Filename: name, Node: o.Node, URL: "cache:" + f.SHA256})
			}
		}
	}
	return outputs, byName
}

// owedAs is an owed output with its name in the cache: node ids change when a workflow is edited, the hash of what leads to an output does not.
type owedAs struct {
	compiler.Owed
	id string
	// twin counts from 0 the outputs of a render that are made in the same way, and so have the same id.
	twin int
}

// owed lists what a render owes in a job.
func (r *reuser) owed(job *compiler.Job, render int) (out []owedAs) {
	ids := r.plan.OutputIDs(render)
	seen := map[string]int{}
	for _, o := range job.Owed {
		if o.Render != render {
			continue
		}
		hash := ids[o.Node]
		id := hex.EncodeToString(hash[:])
		out = append(out, owedAs{o, id, seen[id]})
		seen[id]++
	}
	return out
}

// KeepFile implements render.Keeper. A file goes into the cache at once, as the collector may change or remove it afterwards; it is found there
// only when KeepRender writes the entry that names it.
func (r *reuser) KeepFile(ctx context.Context, result *scheduler.Result, o render.Original) {
	if r.lender(result) == nil || !r.writes() {
		return
	}
	if err := r.cache.PutFile(ctx, o.Path, o.SHA256, o.Bytes); err != nil {
		r.wrote(err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	list := slices.DeleteFunc(r.safe[o.Owed.Render], func(old render.Original) bool { // of an earlier try
		return old.Owed.Node == o.Owed.Node && old.Batch == o.Batch
	})
	r.safe[o.Owed.Render] = append(list, o)
}

// KeepRender implements render.Keeper. Whatever happens, the render's files are forgotten, so memory holds only those of renders under way.
func (r *reuser) KeepRender(ctx context.Context, result *scheduler.Result, i int) {
	r.mu.Lock()
	files := r.safe[i]
	delete(r.safe, i)
	r.mu.Unlock()
	end := r.lender(result)
	if end == nil || len(files) == 0 || !r.writes() {
		return
	}
	e, key, ok := r.entry(result, end, i, files)
	if ok {
		r.wrote(r.cache.Put(ctx, key, e))
	}
}

// lender gives the endpoint of a result if its renders are kept; nil for previews, and for what came from the cache, which was no attempt.
func (r *reuser) lender(result *scheduler.Result) *compiler.EndpointConfig {
	at := slices.IndexFunc(r.ends, func(e compiler.EndpointConfig) bool { return e.Name == result.Endpoint.Name })
	if at < 0 || result.Attempt == 0 || result.Endpoint.Preview {
		return nil
	}
	return &r.ends[at]
}

// entry describes a finished render. ok is false if a file of it is missing.
func (r *reuser) entry(result *scheduler.Result, end *compiler.EndpointConfig, i int, files []render.Original) (e cache.Entry, key cache.Key, ok bool) {
	key, ok = r.key(end, i)
	models, err := r.models(end, i)
	if !ok || err != nil {
		return e, key, false
	}
	worker, _ := cache.Worker(*end)
	// A job of several renders tells one time and one price; each render is noted with an equal part.
	share := float64(len(result.Job.Renders))
	e = cache.Entry{Render: r.plan.RenderID(i).String(), Worker: worker, Models: models, Batch: r.plan.Name(), Endpoint: end.Name, GPU: end.GPU,
		Seconds: result.Execution.Seconds() / share, Rendered: result.Finished.UTC()}
	if result.CostUSD != nil {
		usd := *result.CostUSD / share
		e.CostUSD = &usd
	}
	for _, o := range r.owed(result.Job, i) {
		before := len(e.Files)
		for _, f := range files {
			if f.Owed.Node == o.Node {
				e.Files = append(e.Files, cache.File{Output: o.id, Twin: o.twin, Batch: f.Batch, Ext: f.Ext, Type: f.Type, SHA256: f.SHA256, Bytes: f.Bytes})
			}
		}
		// An output owes at least one file. An entry with fewer would later pass for a finished render.
		if len(e.Files)-before < max(1, o.Images) {
			return e, key, false
		}
	}
	return e, key, true
}

// writes tells whether the cache is still written.
func (r *reuser) writes() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fails < maxCacheFails
}

// wrote notes how a write ended.
func (r *reuser) wrote(err error) {
	if err != nil {
		r.trouble(fmt.Errorf("write the cache %s: %w", r.cache, err))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.fails++
		return
	}
	r.fails = 0
	r.stored++
}

func (r *reuser) trouble(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}
