package run

import (
	"context"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render"
	"github.com/comfyc/comfyc/render/cache"
)

// The batch's side of the cache; reuse.go has the work itself. Nothing here can fail a run: a cache that does not answer only costs money.

// openCache joins the batch with its cache, if it has one and an endpoint whose renders are worth keeping.
func (b *Batch) openCache() {
	ends := lenders(b.configs())
	if b.opts.Cache == nil || len(ends) == 0 {
		return
	}
	// The reuser is used twice: the scheduler asks it for finished renders, and the collector tells it of each file that it has made safe.
	b.reuse = &reuser{plan: b.plan, cache: b.opts.Cache, ends: ends, sink: b.sink, safe: map[int][]render.Original{}}
	b.sink.Keeper = b.reuse
}

// configs gives the endpoints' configurations: the plan's, or what is known of those that a program brought.
func (b *Batch) configs() []compiler.EndpointConfig {
	if len(b.opts.Endpoints) == 0 {
		return b.plan.Endpoints()
	}
	var out []compiler.EndpointConfig
	for _, end := range b.opts.Endpoints {
		p := end.Properties()
		// Aliases and model hashes are not among an endpoint's properties, so its renders are kept under what the image alone says of the models.
		e := compiler.EndpointConfig{Name: p.Name, Type: p.Type, GPU: p.GPU, Worker: p.Worker}
		if p.Preview {
			e.Type = "preview"
		}
		out = append(out, e)
	}
	return out
}

// CacheTrouble gives the last trouble with the cache, nil if there was none. Renders are not affected: what could not be read was rendered, and
// what could not be written is not there for the next batch.
func (b *Batch) CacheTrouble() error {
	if b.reuse == nil {
		return nil
	}
	b.reuse.mu.Lock()
	defer b.reuse.mu.Unlock()
	return b.reuse.err
}

// trimTime bounds the tidying after a run: the run has ended, and its caller waits. What is not tidied then is by the next run.
const trimTime = 30 * time.Second

// trimCache keeps the cache within its bound after a run that wrote into it.
func (b *Batch) trimCache(ctx context.Context) {
	if b.reuse == nil || b.opts.CacheBytes <= 0 || b.reuse.stored == 0 {
		return
	}
	// Also after a run that was interrupted, whose context has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), trimTime)
	defer cancel()
	if err := b.opts.Cache.Trim(ctx, b.opts.CacheBytes); err != nil {
		b.reuse.trouble(err)
	}
}

// CachedIn tells which renders of a plan, by index, could be taken from a cache if they were not done yet. c may be nil: then none could.
// It asks for all keys at once, so its memory grows with the plan; whether the files are whole is not looked at. What cannot be found out is not
// cached; the error says why.
func CachedIn(ctx context.Context, plan *compiler.Plan, c *cache.Cache) (func(render int) bool, error) {
	known := map[int]bool{}
	r := &reuser{plan: plan, cache: c, ends: lenders(plan.Endpoints())}
	if c == nil || len(r.ends) == 0 {
		return func(int) bool { return false }, nil
	}
	all := make([]int, plan.Len())
	for i := range all {
		all[i] = i
	}
	for _, i := range r.Known(ctx, all) {
		known[i] = true
	}
	return func(i int) bool { return known[i] }, r.err
}
