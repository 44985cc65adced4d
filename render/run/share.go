package run

import (
	"context"

	"github.com/comfyc/comfyc/scheduler"
)

// Share gives what somebody else needs who runs a part of the batch, such as a lease on a slice of it: the sink for its results, and the
// options of the whole batch. The endpoints are those of [Batch.Endpoints].
//
// Options.Shared must be set, so that the collector chooses names which other processes do not. ctx bounds the reading of the state, whose
// errors it gives.
func (b *Batch) Share(ctx context.Context) (scheduler.Sink, scheduler.Options, error) {
	if err := b.claim(ctx); err != nil {
		return nil, scheduler.Options{}, err
	}
	opts := b.Options()
	opts.Keep = b.keep
	if b.reuse != nil && !b.opts.NoReuse {
		opts.Reuse = b.reuse
	}
	return b.sink, opts, nil
}
