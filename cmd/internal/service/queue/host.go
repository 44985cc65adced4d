package queue

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render/run"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/lease"
)

// host opens batches for this replica's worker.
// It is a value without state: the worker opens several batches at a time with it.
type host struct{ q *Queue }

// Open implements lease.Host: the same plan from the same files, with this service's endpoints and keys.
// Each replica compiles for itself: endpoints and keys are those of its own configuration. The worker refuses the batch if the
// plan's hash is another than at the submit.
func (h host) Open(ctx context.Context, b lease.Batch) (*lease.Opened, error) {
	q := h.q
	// The id and the folder stand in rows that others may have written: neither may lead out of the data folder.
	if !filepath.IsLocal(b.ID) || !fs.ValidPath(b.ID) || b.Dir != "" && !filepath.IsLocal(b.Dir) {
		return nil, fmt.Errorf("the batch's folder %q is none", filepath.Join(b.ID, b.Dir))
	}
	r, err := q.unbundle(ctx, &b)
	if err != nil {
		return nil, err
	}
	files := newTree(r, "")
	plan, findings := q.compile(ctx, r, files)
	if plan == nil {
		// Findings of a compilation that was good at the submit: the configuration differs here.
		return nil, errors.New(firstError(findings))
	}
	batch, err := run.Open(plan, run.Options{Dir: filepath.Join(q.workDir(b.ID), b.Dir), FS: files, Dialect: q.deps(files), Now: q.Now, Shared: true,
		Depot: q.depot(b.ID, b.Dir), Store: q.Leases.Store(b.ID)})
	if err != nil {
		return nil, err
	}
	sink, opts, err := batch.Share(ctx)
	if err != nil {
		return nil, errors.Join(err, batch.Close())
	}
	// Only what concerns endpoints is heard from slices; renders and totals are told through the database, to all replicas
	// alike.
	opts.OnEvent = func(e scheduler.Event) {
		if e.Endpoint != nil {
			q.heard(*e.Endpoint)
		}
	}
	opened := &lease.Opened{Work: plan, Endpoints: batch.Endpoints(), Sink: sink, Options: opts, Close: batch.Close,
		Parallel: func() int { return q.part(b.Owner, plan, b.MaxParallel) }} // asked again and again, so that the part follows the other batches
	if b.Dir != outFolder { // it was submitted by `comfyc work submit`, and has no steward
		opened.Ended = func(ctx context.Context) error {
			page, err := pageOptions(plan)
			if err == nil {
				err = batch.WriteGallery(ctx, page)
			}
			return err
		}
	}
	return opened, nil
}

// unbundle makes the request of a batch again. A body that holds a secret is only in the ledger, sealed.
// The order of the files does not matter: they are looked up by path.
func (q *Queue) unbundle(ctx context.Context, b *lease.Batch) (*Request, error) {
	r := &Request{Name: b.Bundle.File, Body: b.Bundle.Files[b.Bundle.File], Endpoints: b.Endpoints, MaxUSD: b.MaxUSD}
	if len(r.Body) == 0 {
		_, sealed, err := q.Ledger.Request(ctx, b.ID)
		if err != nil {
			return nil, err
		}
		secrets, err := q.openSecrets(b.ID, sealed)
		if err != nil {
			return nil, err
		}
		r.Body = secrets.Body
	}
	for path, data := range b.Bundle.Files {
		if path != b.Bundle.File {
			r.Files = append(r.Files, File{Path: path, Data: data, Size: int64(len(data))})
		}
	}
	return r, nil
}

// part is how many jobs of a batch may be in flight: its owner's part of its endpoints' places, by weight among the batches that run and wait on
// all replicas. While there are single jobs a quarter of the places is left to them.
// It is asked at every trade of a slice, so it reads the loads as of the last look at the database (two seconds old at most)
// and asks nobody.
func (q *Queue) part(owner string, plan *compiler.Plan, most int) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := 0 // of all replicas together
	for _, e := range plan.Endpoints() {
		all += max(q.places[e.Name], 1)
	}
	mine := q.Ring.Owner(owner).Share() // at least 1
	weights, jobs := 0, false
	// Each running batch of an owner counts with the owner's weight; all that wait count once for each other owner.
	for _, l := range q.loads {
		jobs = jobs || !l.Batch
		switch share := q.Ring.Owner(l.Owner).Share(); {
		case !l.Batch:
		case l.State == ledger.Running:
			weights += share * l.Works
		case l.Owner != owner:
			weights += share
		}
	}
	if jobs {
		all -= all / 4
	}
	n := all * mine / max(weights, mine) // whole places, rounded down; never below one, so that every batch gets on
	if most > 0 {
		n = min(n, most)
	}
	return max(1, n)
}
