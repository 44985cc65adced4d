package run

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render"
	"github.com/comfyc/comfyc/scheduler"
)

// Page gives the path of the gallery that WriteGallery writes.
func (b *Batch) Page() string { return filepath.Join(b.opts.Dir, "index.html") }

// WriteGallery makes manifest.json, index.html, index.csv and, unless the page is a live one, contact-sheet.png from the state as it is now. It may be called while a run goes on.
func (b *Batch) WriteGallery(ctx context.Context, opts render.GalleryOptions) error {
	m, err := b.Manifest(ctx)
	if err != nil {
		return err
	}
	m.Running = opts.Live > 0
	opts.NoSheet = opts.NoSheet || b.plan.Batch().Gallery.NoSheet
	return m.WriteRun(b.opts.Dir, opts)
}

// Manifest is the record of the batch as it is now.
func (b *Batch) Manifest(ctx context.Context) (*render.Manifest, error) {
	plan := b.plan
	records := make(map[compiler.RenderID]scheduler.Record, plan.Len())
	for r, err := range b.store.Records(ctx) {
		if err != nil {
			return nil, fmt.Errorf("read the batch's state: %w", err)
		}
		records[r.ID] = r
	}
	meta, err := b.store.Meta(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the batch's state: %w", err)
	}
	g := plan.Batch().Gallery
	described := render.Batch{
		Name: plan.Name(), Plan: plan.Hash(), Created: meta.Started, Updated: meta.Updated, Axes: plan.Axes(),
		Layout:      render.Layout{Title: g.Title, Rows: g.Rows, Cols: g.Cols, Pages: g.Pages},
		Coordinates: plan.Coordinates(), Coordinate: plan.Coordinate,
		Params: func(i int) (compiler.RenderID, compiler.Params) { return plan.RenderID(i), plan.Params(i) },
		Record: func(i int) (scheduler.Record, bool) { r, ok := records[plan.RenderID(i)]; return r, ok },
	}
	b.commands(&described)
	b.graphs(&described)
	return render.Build(described), nil
}
