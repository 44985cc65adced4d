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

// WriteGallery makes manifest.json, index.html, index.csv and, unless the page is a live one, contact-sheet.png from the state as it is now. It
// may be called while a run goes on: it reads the store beside the run, and sees a render with all of its files or without any.
func (b *Batch) WriteGallery(ctx context.Context, opts render.GalleryOptions) error {
	m, err := b.Manifest(ctx)
	if err != nil {
		return err
	}
	// Live is the pause in seconds after which the page looks for news; 0 is the page of a run that has ended.
	m.Running = opts.Live > 0
	opts.NoSheet = opts.NoSheet || b.plan.Batch().Gallery.NoSheet
	if b.opts.Depot == nil {
		return m.WriteRun(b.opts.Dir, opts)
	}
	// Other machines made most of the pictures that the contact sheet shows.
	if !opts.NoSheet && !m.Running {
		if err := render.Fetch(ctx, b.opts.Depot, b.opts.Dir, m.SheetThumbs()); err != nil {
			return err
		}
	}
	if err := m.WriteRun(b.opts.Dir, opts); err != nil {
		return err
	}
	return render.Deposit(ctx, b.opts.Depot, b.opts.Dir)
}

// Manifest is the record of the batch as it is now. The records are read into memory, O(renders); coordinates that share a render get the same
// one. Errors are those of the store.
func (b *Batch) Manifest(ctx context.Context) (*render.Manifest, error) {
	plan := b.plan
	// By id and not by index: rows that an earlier plan left may have indexes that mean something else now.
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
	// What helps a reader and is not part of the record comes last; the page does without it.
	b.commands(&described)
	b.graphs(&described)
	return render.Build(described), nil
}
