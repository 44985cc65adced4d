package bench

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store"
	"github.com/comfyc/comfyc/scheduler/store/pgtest"
)

// Every commit must be on the disk before a job counts as submitted: this is the price of surviving a crash.
var storeCases = []Case{
	{Name: "DurableSQLite", What: "one render a commit and 64 renders a commit to SQLite, each commit synced, against bare writes of 4 KiB with fsync to the same disk; in turn",
		Run: durableSQLite, Goals: []Goal{{Unit: "share-of-fsync", Least: 0.3, Meaning: "single commits at 30 % of the bare fsync rate at least"}}},
	{Name: "DurablePostgres", What: "the same to Postgres on this machine, each commit synced, through a fenced slice",
		Skip: needPostgres, Run: durablePostgres},
	{Name: "Resume100k", What: "a batch of 100,000 renders of which 99,000 are done: from opening its state to the first submit",
		Run: resumeLarge, Goals: []Goal{{Unit: "s-to-submit", Most: 2, Meaning: "the first submit within 2 s"}}},
}

// needPostgres starts a server of its own where Postgres is installed.
func needPostgres(*Env) error {
	_, err := pgtest.Synced()
	return err
}

// grouped is how many renders a commit holds when many are in flight.
const grouped = 64

// ended makes the rows of a render that has ended: its attempt and its record.
// It looks like a real row, with all fields filled, because the size of a row is what a commit writes.
func ended(i int) []scheduler.Change {
	id := compiler.RenderID(sha256.Sum256(fmt.Append(nil, i)))
	at := time.Unix(1_790_000_000, 0)
	usd := 0.004
	return []scheduler.Change{
		{Attempt: &scheduler.Attempt{Number: int64(i + 1), Renders: []scheduler.RenderRef{{Index: i, ID: id}}, Try: 1, State: scheduler.AttemptCollected, Endpoint: "novita-4090",
			GPU: "rtx4090", Remote: fmt.Sprintf("sync-%036d-e1", i), Worker: "worker-1", Created: at, Submitted: at, Finished: at, Expires: at, Seconds: 14.5, ReservedUSD: &usd, CostUSD: &usd}},
		{Record: &scheduler.Record{Render: i, ID: id, State: scheduler.Done, Endpoint: "novita-4090", GPU: "rtx4090", Remote: fmt.Sprintf("sync-%036d-e1", i), Attempts: 1,
			Submitted: at, Finished: at, Seconds: 14.5, CostUSD: &usd, Files: []scheduler.FileRecord{{Path: fmt.Sprintf("images/%06d.png", i), Node: "9", Type: "image/png",
				SHA256: fmt.Sprintf("%064x", i), Bytes: 1_500_000, Width: 1024, Height: 1024, Thumb: fmt.Sprintf("thumbs/%06d.jpg", i)}}}},
	}
}

// fsyncs writes 4 KiB and syncs, n times.
// It is the least that a durable commit can cost on this disk.
func fsyncs(f *os.File, n int) error {
	page := make([]byte, 4096)
	for range n {
		if _, err := f.Write(page); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// durable measures a store: commits of one render, and of many.
// Bare syncs, single commits and grouped ones follow each other within a turn, since the speed of disks wanders.
func durable(e *Env, b *testing.B, s scheduler.Store) error {
	f, err := os.Create(filepath.Join(e.Temp, "fsync"))
	if err != nil {
		return err
	}
	defer f.Close()
	const commits = 100 // of each kind in each turn
	var bare, single, many time.Duration
	next := 0 // every render is a new row, as in a run
	apply := func(renders int) error {
		var changes []scheduler.Change
		for range renders {
			changes = append(changes, ended(next)...)
			next++
		}
		return s.Apply(b.Context(), changes)
	}
	for b.Loop() {
		start := time.Now()
		if err := fsyncs(f, commits); err != nil {
			return err
		}
		bare += time.Since(start)
		for _, part := range []struct {
			renders int
			sum     *time.Duration
		}{{1, &single}, {grouped, &many}} {
			start := time.Now()
			for range commits {
				if err := apply(part.renders); err != nil {
					return err
				}
			}
			*part.sum += time.Since(start)
		}
	}
	n := float64(commits * b.N)
	b.ReportMetric(n/bare.Seconds(), "fsyncs/s")
	b.ReportMetric(n/single.Seconds(), "commits/s")
	b.ReportMetric(n*grouped/many.Seconds(), "renders/s")
	b.ReportMetric(bare.Seconds()/single.Seconds(), "share-of-fsync")
	b.ReportMetric(n*grouped/many.Seconds()/(n/bare.Seconds()), "renders/fsync")
	b.ReportMetric(0, "ns/op")
	return nil
}

func durableSQLite(e *Env, b *testing.B) error {
	dir, err := os.MkdirTemp(e.Temp, "durable")
	if err != nil {
		return err
	}
	s, err := store.Open(dir)
	if err != nil {
		return err
	}
	defer s.Close()
	return durable(e, b, s)
}

// durablePostgres goes through a fenced slice: each commit also checks the epoch, as replicas do.
func durablePostgres(e *Env, b *testing.B) error {
	url, err := pgtest.Synced()
	if err != nil {
		return err
	}
	p, err := store.ConnectPostgres(b.Context(), url)
	if err != nil {
		return err
	}
	defer p.Close()
	if _, err := p.Pool.Exec(b.Context(), `WITH b AS (INSERT INTO batches (id, name, plan, renders) VALUES ('bench', 'bench', 'p', 1000000))
		INSERT INTO slices (batch, slice, first, past, state, epoch, owner) VALUES ('bench', 0, 0, 1000000, 'held', 1, 'bench')`); err != nil {
		return err
	}
	return durable(e, b, p.Slice(store.Lease{Batch: "bench", Epoch: 1, Past: math.MaxInt32}))
}

// The batch that is resumed.
// What is left is one render in a hundred.
const (
	resumeAll  = 100_000
	resumeDone = 99_000
)

// numbered is a plan of renders that are only numbers.
// The plan's own cost is left out: only state and scheduler are measured.
type numbered int

func (n numbered) Hash() string { return "numbered" }
func (n numbered) Len() int     { return int(n) }
func (n numbered) RenderID(i int) compiler.RenderID {
	return sha256.Sum256(fmt.Append(nil, i))
}

func (n numbered) Job(renders ...int) (*compiler.Job, error) {
	return &compiler.Job{Renders: renders, Prompt: []byte("{}"), Classes: []string{"A"}, Width: 64, Height: 64}, nil
}

// first is an endpoint that notes when the first job came, and ends the run.
// Only its Submit is ever reached.
type first struct {
	at  atomic.Int64
	end context.CancelFunc
}

func (f *first) Properties() scheduler.Properties {
	price := 0.0003
	return scheduler.Properties{Name: "novita-4090", Type: "novita", GPU: "rtx4090", Price: &price, Limits: compiler.Limits{InFlight: 20, JobBytes: 4 << 20, OutputBytes: 4 << 20, Retention: time.Hour}}
}

// The first call stops the clock and the run; the error keeps anything from being counted as paid.
func (f *first) Submit(context.Context, *compiler.Job, scheduler.Terms) (string, error) {
	f.at.CompareAndSwap(0, time.Now().UnixNano())
	f.end()
	return "", &scheduler.Error{Kind: scheduler.Unreachable, Message: "the measurement is over"}
}

func (f *first) Poll(context.Context, string) (scheduler.Status, error) {
	return scheduler.Status{State: scheduler.Running}, nil
}
func (f *first) Cancel(context.Context, string) error { return nil }
func (f *first) Fetch(context.Context, scheduler.Output) (io.ReadCloser, error) {
	return nil, errors.New("nothing to fetch")
}

// resumeLarge makes the state once and opens copies of it.
// Making the state takes longer than reading it and is not in the figure. Opening again is safe, as the run that is measured
// changes one render at most.
func resumeLarge(e *Env, b *testing.B) error {
	dir, err := os.MkdirTemp(e.Temp, "resume")
	if err != nil {
		return err
	}
	s, err := store.Open(dir)
	if err != nil {
		return err
	}
	changes := []scheduler.Change{{Meta: &scheduler.Meta{Name: "large", Plan: numbered(resumeAll).Hash(), Renders: resumeAll, Started: time.Now()}}}
	for i := range resumeDone { // 4000 changes a commit, or the making would be all syncs
		if changes = append(changes, ended(i)...); len(changes) >= 4000 || i == resumeDone-1 {
			if err := s.Apply(b.Context(), changes); err != nil {
				return err
			}
			changes = changes[:0]
		}
	}
	if err := s.Close(); err != nil {
		return err
	}
	var sum time.Duration
	for b.Loop() {
		took, err := resumeOnce(b.Context(), dir)
		if err != nil {
			return err
		}
		sum += took
	}
	b.ReportMetric(sum.Seconds()/float64(b.N), "s-to-submit")
	b.ReportMetric(0, "ns/op")
	return nil
}

// resumeOnce fails if the run did not find the 99,000 done, or never came to a submit.
func resumeOnce(ctx context.Context, dir string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	start := time.Now()
	s, err := store.Open(dir)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	end := &first{end: cancel}
	sum, err := scheduler.Run(ctx, numbered(resumeAll), []scheduler.Endpoint{end}, s, counted{}, scheduler.Options{Fuse: 1, Grace: time.Second})
	if err != nil || sum.Kept != resumeDone || end.at.Load() == 0 {
		return 0, fmt.Errorf("the batch was not gone on with: %+v, %w", sum, err) // Kept says that they were recognized by their ids
	}
	return time.Duration(end.at.Load() - start.UnixNano()), nil
}
