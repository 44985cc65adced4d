package render

import (
	"context"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
)

// Keeper is told what a collector makes safe, so that it can be kept for other batches. Its methods are called from several goroutines, in the
// goroutine that collects: they should be quick. Their trouble is their own; a batch does not fail for it.
type Keeper interface {
	// KeepFile is told of each output, before it is made into anything else or removed. The file may be linked or copied, not changed.
	KeepFile(ctx context.Context, result *scheduler.Result, o Original)
	// KeepRender is told of each render whose files are all safe, after KeepFile for all of them.
	KeepRender(ctx context.Context, result *scheduler.Result, render int)
}

// Original is an output as the collector keeps it, before any post-processing.
type Original struct {
	Path   string        // where it lies on this machine
	Owed   compiler.Owed // which output of which render it is
	Batch  int           // index in the image batch, from 0
	Ext    string        // with its dot
	Type   string        // media type by content
	SHA256 string        // hex
	Bytes  int64
}

// tellKeeper prepares what a keeper is told of a received file, once it is safe.
func (c *Collector) tellKeeper(ctx context.Context, result *scheduler.Result, got *received, p place) {
	if c.Keeper == nil {
		return
	}
	got.safe = func(path string) {
		c.Keeper.KeepFile(ctx, result, Original{Path: path, Owed: p.owed, Batch: p.batch, Ext: got.typ.Ext, Type: got.typ.MIME, SHA256: got.sha256, Bytes: got.size})
	}
}
