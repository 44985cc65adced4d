package run

import (
	"context"
	"fmt"
	"slices"

	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect"
)

// leftOn opens the endpoints on which an earlier run left jobs and that the batch names no more, as far as they are still configured: their
// results are collected, and nothing is submitted there. What cannot be opened, for want of its key perhaps, is left out; the scheduler then
// holds its renders and says where their jobs are. A preview looks at no real endpoint.
func (b *Batch) leftOn(ctx context.Context) ([]scheduler.Endpoint, error) {
	// A program that brings its endpoints has no configurations from which others could be opened.
	if len(b.opts.Endpoints) > 0 || b.Previewing() {
		return nil, nil
	}
	var names []string
	for a, err := range b.store.Attempts(ctx) {
		if err != nil {
			return nil, fmt.Errorf("read the batch's state: %w", err)
		}
		// An open attempt of a preview is gone with the process that drew it. Those opened by an earlier run of this Batch are still open.
		if !a.State.Final() && !a.Preview && !slices.Contains(names, a.Endpoint) && !named(b.ends, a.Endpoint) && !named(b.others, a.Endpoint) {
			names = append(names, a.Endpoint)
		}
	}
	deps := b.deps()
	for _, name := range names {
		cfg, ok := b.plan.OtherEndpoint(name)
		if !ok {
			continue
		}
		// Opening sends nothing; whether the endpoint answers is checked by the run.
		if end, err := dialect.Open(cfg, deps); err == nil {
			b.others = append(b.others, end)
		}
	}
	return b.others, nil
}

// named tells whether an endpoint of the name is among those.
func named(ends []scheduler.Endpoint, name string) bool {
	return slices.ContainsFunc(ends, func(e scheduler.Endpoint) bool { return e.Properties().Name == name })
}
