package run

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/render"
	"github.com/comfyc/comfyc/render/cache"
	"github.com/comfyc/comfyc/render/post"
	"github.com/comfyc/comfyc/render/s3"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect"
	"github.com/comfyc/comfyc/scheduler/emulator"
	"github.com/comfyc/comfyc/scheduler/store"
)

// Options say where a batch runs and with what. Only Dir is needed.
type Options struct {
	// Dir is the run directory: pictures, manifest, page and state. It is made if it is missing, after the endpoints were opened.
	Dir string
	// Base is the folder from which the paths in output.post start; "" means the working directory.
	Base string
	// FS, if it is set, is where the files of output.post are opened, and nothing is opened from anywhere else.
	FS fs.FS
	// Post are steps of a program's own. They follow those of output.post, in each of its variants; nil adds none. Renders that are done already
	// keep the files that they have.
	Post []post.Step
	// Endpoints take the place of the plan's own: endpoints that a program implements itself.
	Endpoints []scheduler.Endpoint
	// Dialect is what the plan's endpoints need of the outside: environment, keys, transport. Preview and Supports are filled in if
	// they are nil, so that the preview endpoint works.
	Dialect dialect.Deps
	// Cache holds finished renders of all batches: what is in it is not rendered again, and what is rendered is kept in it. nil means none.
	Cache *cache.Cache
	// CacheBytes bounds the cache: after a run that wrote into it, what was used longest ago is removed from it. 0 means no bound.
	CacheBytes int64
	// NoReuse renders what is in the cache all the same, and replaces it there.
	NoReuse bool
	// Shared says that other processes do other renders of the batch in Dir meanwhile; see [Batch.Share].
	Shared bool
	// Depot holds the files for all processes; nil means that Dir does. See [render.Depot].
	Depot render.Depot
	// Store is the durable state; nil means an SQLite file in Dir. Close closes it.
	Store scheduler.Store
	// Bucket opens what output.s3 names, see [OwnBucket]; nil refuses batches that have it.
	Bucket func(s3.Config) (*s3.Bucket, error)
	// File is the batch's file as its user named it, for the commands that the gallery offers; "" offers none.
	File string
	// Now is the clock for dates in file names; nil means time.Now.
	Now func() time.Time
}

// FindingsError is what is wrong with a batch, found when it was opened.
type FindingsError struct{ Findings []diag.Diagnostic }

// Error gives the first finding.
func (e *FindingsError) Error() string {
	if n := len(e.Findings) - 1; n > 0 {
		return fmt.Sprintf("%s (and %d more)", e.Findings[0].Message, n)
	}
	return e.Findings[0].Message
}

// Batch is a plan in its run directory.
//
// The fields are set by Open and only read from then on, but for others, which a run adds to, and what mu guards. So runs follow each other,
// and everything else may be asked meanwhile.
type Batch struct {
	plan  *compiler.Plan
	opts  Options
	store scheduler.Store
	sink  *render.Collector
	ends  []scheduler.Endpoint
	// others are endpoints that the batch names no more, on which jobs were left; opened as they are found.
	others []scheduler.Endpoint
	reuse  *reuser // nil without a cache
	stop   stopper
	// bucket is that of output.s3, nil without one.
	bucket *s3.Bucket

	mu    sync.Mutex
	stops []func() // of preview endpoints
}

// Open opens the endpoints first, so that nothing is written if one cannot be, then the directory.
//
// Errors: *FindingsError for a batch that no endpoint can run or whose output.post is wrong; *scheduler.Error for an endpoint's
// configuration or key; *store.LockedError for a directory in use; else trouble of the file system.
func Open(plan *compiler.Plan, opts Options) (*Batch, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	b := &Batch{plan: plan, opts: opts, ends: opts.Endpoints}
	if err := b.open(); err != nil {
		_ = b.Close()
		return nil, err
	}
	return b, nil
}

// open does Open's steps in the order in which the cheapest mistakes come first: the plan, output.post, the bucket, keys of endpoints; the
// directory is made last.
func (b *Batch) open() error {
	if len(b.opts.Endpoints) == 0 {
		if findings := Unsupported(b.plan); len(findings) > 0 {
			return &FindingsError{findings}
		}
	}
	recipe, findings := postRecipe(b.plan, b.opts.Base, b.opts.FS)
	if len(findings) > 0 {
		return &FindingsError{findings}
	}
	recipe, err := withSteps(recipe, b.opts.Post)
	if err != nil {
		return err
	}
	if err := b.openBucket(); err != nil {
		return err
	}
	if err := b.openEndpoints(); err != nil {
		return err
	}
	if err := b.openStore(); err != nil {
		return err
	}
	b.sink = &render.Collector{Dir: b.opts.Dir, Shared: b.opts.Shared, Depot: b.opts.Depot, Recipe: recipe, Token: b.token, Name: b.name, Provenance: b.provenance, Secrets: b.secrets()}
	// A worker that uploads to the batch's own bucket answers with an object's name, which only this bucket's credentials open.
	if b.bucket != nil {
		b.sink.Object = b.bucket.Fetch
	}
	b.openCache()
	return nil
}

func (b *Batch) openEndpoints() error {
	if len(b.opts.Endpoints) > 0 {
		return nil
	}
	deps := b.deps()
	for _, cfg := range b.plan.Endpoints() {
		end, err := dialect.Open(cfg, deps)
		if err != nil {
			return err
		}
		b.ends = append(b.ends, end)
	}
	return nil
}

// deps are those of the options, with what is built in.
func (b *Batch) deps() dialect.Deps {
	deps := b.opts.Dialect
	// The caller's own come first, so that a test can put an emulator in the place of every endpoint.
	if deps.Preview == nil {
		deps.Preview = b.preview
	}
	if deps.Supports == nil {
		deps.Supports = CannotRun
	}
	return deps
}

// preview starts the in-memory emulator of an endpoint of the type preview.
func (b *Batch) preview(cfg compiler.EndpointConfig) (http.RoundTripper, error) {
	c, findings := emulator.ParsePreview(cfg.Emulator)
	if len(findings) > 0 {
		return nil, &FindingsError{findings}
	}
	e, err := emulator.New(c)
	if err != nil {
		return nil, err
	}
	// It is reached through memory, without a port: any number of batches preview at once.
	client, _, stop := e.Listen()
	b.stops = append(b.stops, func() { stop(); _ = e.Close() })
	return client, nil
}

func (b *Batch) openStore() error {
	if b.store = b.opts.Store; b.store != nil {
		return nil
	}
	s, err := store.Open(b.opts.Dir)
	if err != nil {
		return err
	}
	b.store = s
	// Only a state in the directory has a place for the request; runs with a store of the caller's are stopped by their context.
	b.stop.path = filepath.Join(b.opts.Dir, store.Dir, stopFile)
	b.stop.forget()
	return nil
}

// Close ends the use of the directory. It may be called again, but not while a run goes on.
func (b *Batch) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var err error
	if b.store != nil {
		// The store first: it holds the directory's lock, and nothing writes any more.
		err = b.store.Close()
	}
	for _, stop := range b.stops {
		stop()
	}
	b.stops = nil
	return err
}

// Plan gives what is run.
func (b *Batch) Plan() *compiler.Plan { return b.plan }

// Dir gives the run directory.
func (b *Batch) Dir() string { return b.opts.Dir }

// Endpoints gives the opened endpoints.
func (b *Batch) Endpoints() []scheduler.Endpoint { return slices.Clone(b.ends) }

// Store gives the state, for reading beside a run.
func (b *Batch) Store() scheduler.Store { return b.store }

// Previewing tells whether the endpoints draw pictures and render none; the scheduler refuses a mixture.
func (b *Batch) Previewing() bool {
	return len(b.ends) > 0 && b.ends[0].Properties().Preview
}

// Options are the scheduler's, as the batch's schedule has them.
func (b *Batch) Options() scheduler.Options {
	s := b.plan.Batch()
	o := scheduler.Options{Name: s.Name, MaxParallel: s.Schedule.MaxParallel, Retries: s.Schedule.Retries, FailFast: s.Schedule.FailFast,
		Deadline: s.Schedule.Deadline, Objective: scheduler.Objective(s.Schedule.Objective), Fuse: s.Schedule.Fuse, Seed: s.Seed}
	if s.Schedule.BudgetUSD > 0 {
		o.Budget = &s.Schedule.BudgetUSD
	}
	if s.Schedule.Resubmit {
		o.Uncertain = scheduler.Resubmit
	}
	if s.Schedule.Hedge {
		o.Hedge = scheduler.HedgeAuto
	}
	o.Fits = fits(b.plan)
	return o
}

// Run does what is left of the batch. opts are those of [Batch.Options], with what the caller changed. See [scheduler.Run] for the
// end of ctx and for errors.
func (b *Batch) Run(ctx context.Context, opts scheduler.Options) (scheduler.Summary, error) {
	// What an earlier run did is read even if ctx has ended already: the scheduler then still cancels or leaves what is on remotes.
	if err := b.claim(context.WithoutCancel(ctx)); err != nil {
		return scheduler.Summary{Renders: b.plan.Len()}, err
	}
	if opts.Keep == nil {
		opts.Keep = b.keep
	}
	if opts.Collect == nil {
		others, err := b.leftOn(context.WithoutCancel(ctx))
		if err != nil {
			return scheduler.Summary{Renders: b.plan.Len()}, err
		}
		opts.Collect = others
	}
	if b.reuse != nil && !b.opts.NoReuse && opts.Reuse == nil {
		opts.Reuse = b.reuse
	}
	// After the run, when nothing more comes from the cache.
	defer b.trimCache(ctx)
	ctx, release := b.stop.watch(ctx)
	defer release()
	return scheduler.Run(ctx, b.plan, b.ends, b.store, b.sink, opts)
}

// claim tells the collector which names are taken by renders that are still in the plan.
func (b *Batch) claim(ctx context.Context) error {
	// The plan may have been edited since, so renders are found by id. What is no more in the plan gives its names free.
	index := make(map[compiler.RenderID]int, b.plan.Len())
	for i := range b.plan.Len() {
		index[b.plan.RenderID(i)] = i
	}
	for r, err := range b.store.Records(ctx) {
		if err != nil {
			return fmt.Errorf("read the batch's state: %w", err)
		}
		if i, ok := index[r.ID]; ok && len(r.Files) > 0 {
			b.sink.Claim(i, r.Files)
		}
	}
	return nil
}

// keep tells whether what an earlier run did still counts: all files are there with their sizes, and a preview does not stand in for a
// picture of a real endpoint. What a depot took it has.
func (b *Batch) keep(r scheduler.Record) bool {
	for _, f := range r.Files {
		if b.opts.Depot != nil {
			break // a question for each file would take longer than the rest of a resume
		}
		// Sizes are enough to see that a file was removed or cut off, and cost no reading; hashes were checked when it was made.
		info, err := os.Stat(filepath.Join(b.opts.Dir, filepath.FromSlash(f.Path)))
		if err != nil || info.Size() != f.Bytes {
			return false
		}
	}
	return b.Previewing() || !drawn(r)
}

// drawn tells whether a record's files are a preview's.
func drawn(r scheduler.Record) bool {
	return slices.ContainsFunc(r.Files, func(f scheduler.FileRecord) bool { return f.Preview })
}

// name is the collector's question for a file's name.
func (b *Batch) name(i int, f render.FileInfo) (string, error) {
	// A file exists once, however many coordinates share its render: the first one names it.
	at := b.plan.CoordinatesOf(i)[0]
	return b.plan.FileName(at, compiler.Facts{Batch: f.Batch, Width: f.Width, Height: f.Height, Time: b.opts.Now()}), nil
}

// token gives the value of a token in a text of output.post.
func (b *Batch) token(i int, f render.FileInfo, token string) (string, bool) {
	return render.TokenText(b.plan.Axes(), b.plan.Coordinate(b.plan.CoordinatesOf(i)[0]), b.plan.Params(i), f, token)
}

// DoneIn tells which renders the run directory dir has done; preview says whether drawn pictures count. A directory without a state, or
// whose state cannot be read (Open says why), has done none.
func DoneIn(ctx context.Context, dir string, preview bool) (func(compiler.RenderID) bool, error) {
	none := func(compiler.RenderID) bool { return false }
	st, err := store.OpenRead(dir)
	if errors.Is(err, os.ErrNotExist) {
		return none, nil
	} else if err != nil {
		return none, err
	}
	defer st.Close()
	done := map[compiler.RenderID]bool{}
	for r, err := range st.Records(ctx) {
		if err != nil {
			return none, err
		}
		if r.State == scheduler.Done && (preview || !drawn(r)) {
			done[r.ID] = true
		}
	}
	return func(id compiler.RenderID) bool { return done[id] }, nil
}
