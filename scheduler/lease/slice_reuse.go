package lease

import (
	"context"

	"github.com/comfyc/comfyc/scheduler"
)

// sliceReuser asks the whole batch's reuser with the batch's indexes.
type sliceReuser struct {
	scheduler.Reuser
	first int
}

// Known implements scheduler.Reuser.
func (r sliceReuser) Known(ctx context.Context, renders []int) []int {
	return shifted(r.Reuser.Known(ctx, shifted(renders, r.first)), -r.first)
}

// Reuse implements scheduler.Reuser.
func (r sliceReuser) Reuse(ctx context.Context, render int) (scheduler.Reused, bool, error) {
	return r.Reuser.Reuse(ctx, render+r.first)
}
