package scheduler

import (
	"context"
	rand2 "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/sourcegraph/conc/pool"
)

// Run does what is left of a batch: it opens the state of earlier runs, goes on with jobs that are on their remotes, submits what waits,
// and collects what is finished, until every render has ended or something stops it. It returns when all its goroutines have ended.
//
// The end of ctx interrupts the run: nothing more is submitted, remote jobs are cancelled (or left, by the options), results that are there
// are collected, all within Options.Grace. That is no error; Summary.Stopped says so.
//
// Errors: *ConfigError before anything was sent; *UnusableError if no endpoint can be used; else trouble of the store or the sink.
// The summary is valid with each of them. A panic of an endpoint, the store or the sink comes out of Run.
func Run(ctx context.Context, work Work, endpoints []Endpoint, store Store, sink Sink, options Options) (Summary, error) {
	opts := options.filled()
	// The core knows endpoints by their index in this list; those behind the first len(endpoints) only give back what is on them.
	ends := slices.Concat(endpoints, others(endpoints, opts.Collect))
	c, err := newCore(work, ends, len(endpoints), opts)
	if err != nil {
		return Summary{Renders: work.Len()}, err
	}
	// Also when ctx has ended: what is on remotes is to be cancelled or left, and for that it must be known.
	first, err := load(context.WithoutCancel(ctx), work, store, c)
	if err != nil {
		return Summary{Renders: work.Len()}, fmt.Errorf("read the batch's state: %w", err)
	}
	// Before the first job's kind is looked up.
	c.recallSpeeds(opts.Speeds)
	l := newLoop(ctx, c, work, ends, store, sink)
	c.token = rand2.Text
	// Once for a panic, which passes through here; the call below is the usual one, after which nobody else touches the core.
	defer l.close()
	l.run(ctx, first)
	l.close()
	c.keepSpeeds(opts.Speeds)
	return l.finish()
}

// newCore checks the options and makes the state of a run. The first n endpoints take jobs.
func newCore(work workIndex, ends []Endpoint, n int, opts Options) (*core, error) {
	c := blankCore(work, opts)
	for i, end := range ends {
		ep := newEndpoint(i, end.Properties())
		// drain: it is polled and cancelled on, and gets nothing new.
		ep.drain = i >= n
		_, ep.finds = end.(Finder)
		_, ep.counts = end.(Stater)
		// What an endpoint says of itself counts only if it has the method for it.
		if _, ok := end.(LongPoller); !ok {
			ep.LongPoll = 0
		}
		if c.byName(ep.Name) != nil {
			return nil, &ConfigError{"duplicate_endpoint", fmt.Sprintf("the endpoint %s is there twice", ep.Name)}
		}
		c.endpoints = append(c.endpoints, ep)
	}
	return c, c.checkOptions()
}

// blankCore makes a core without endpoints.
func blankCore(work workIndex, opts Options) *core {
	// The constant is "comfyc": it keeps this stream of numbers apart from others with the same seed.
	c := &core{opts: opts, work: work, rng: rand.New(rand.NewPCG(opts.Seed, 0x636f6d667963)), renders: make([]RenderState, work.Len()),
		trouble: map[int]Trouble{}, history: map[int]history{}, unwanted: map[int]bool{}, priority: map[int]int{},
		classes: map[uint64]*graphClass{}, attempts: map[int64]*attempt{}, lost: map[string]*attempt{}, asked: map[int64]*attempt{},
		shards: map[int]*shard{}, money: ledger{limit: opts.Budget}}
	c.counts[Waiting] = work.Len()
	if opts.Shares != nil {
		c.shares = &sharing{}
	}
	return c
}

// others lists the endpoints of more whose names are not in some.
func others(some, more []Endpoint) (list []Endpoint) {
	names := map[string]bool{}
	for _, end := range some {
		names[end.Properties().Name] = true
	}
	for _, end := range more {
		if !names[end.Properties().Name] {
			list = append(list, end)
		}
	}
	return list
}

// checkOptions refuses what could only go wrong later, after money was spent. Endpoints that are only collected from do not count.
func (c *core) checkOptions() error {
	preview, real := false, false
	for _, ep := range c.endpoints {
		if ep.drain {
			continue
		}
		preview, real = preview || ep.Preview, real || !ep.Preview
		// A cap that cannot be reckoned is none.
		if c.opts.Budget != nil && ep.Price == nil && !ep.Preview {
			return &ConfigError{"unknown_price", fmt.Sprintf("there is a budget, but the price of the endpoint %s is not known: give it as price: {usd_per_second: …}", ep.Name)}
		}
	}
	if preview && real {
		return &ConfigError{"mixed_preview", "preview and real endpoints cannot be mixed in one run"}
	}
	switch c.opts.Objective {
	case Balanced, Cheapest, Fastest:
		return nil
	}
	return &ConfigError{"unknown_objective", fmt.Sprintf("unknown objective %q", c.opts.Objective)}
}

// newLoop makes the shell. Its pool has a goroutine for every call that is under way, so that it never blocks; how many there may be at once the core
// says. The pool has no bound of its own: with one it would start goroutines up to it, one for each call, while others are idle, and a service has
// many runs that last for hours.
func newLoop(ctx context.Context, c *core, work Work, ends []Endpoint, store Store, sink Sink) *loop {
	// 2 for a trade and a commit; for each endpoint 3 more, for its check, its counts and its watch. The inbox has as many places.
	most := maxPreparing + maxCancelling + maxCollecting + maxReusing + maxFinding + 2 + len(ends)*(maxBrief+maxPolling+maxLong+3)
	l := &loop{core: c, work: work, store: store, sink: sink, opts: &c.opts, ends: ends,
		pool: pool.New(), inbox: make(chan any, most),
		results: map[int64]Status{}, writer: writer{byRow: map[int64]int{}}, timer: time.NewTimer(time.Hour)}
	// Watches speak through it as well.
	if l.news = c.opts.Control; l.news == nil {
		l.news = &Control{}
	}
	l.watching = make([]bool, len(ends))
	// Calls outlive the end of ctx, by the grace at most: a submit that is cut off would be uncertain.
	l.calls, l.abort = context.WithCancel(context.WithoutCancel(ctx))
	return l
}

// close ends the goroutines. It may be called again.
func (l *loop) close() {
	// Calls that are under way see their context end; Wait returns when the last of them has.
	l.abort()
	l.timer.Stop()
	if l.pool != nil {
		l.pool.Wait()
		l.pool = nil
	}
}

// finish sums up. Only trouble that the caller must do something about is an error; a run that was interrupted, or ran out of money or time, is none.
func (l *loop) finish() (Summary, error) {
	c := l.core
	if l.err != nil {
		c.stop = StopStore
	}
	s := c.summary()
	switch {
	case l.err != nil:
		return s, l.err
	case c.stop == StopSink:
		return s, fmt.Errorf("keep the results: %w", c.sick.err)
	case c.stop == StopUnusable:
		return s, &UnusableError{s.Unusable}
	}
	return s, nil
}

// summary counts what became of all renders, those of earlier runs too: O(renders).
func (c *core) summary() Summary {
	s := Summary{Renders: c.work.Len(), Counts: c.counts, Kept: c.kept, Reused: c.reuse.done, Attempts: c.made, Hedges: c.hedges, Stopped: c.stop, Elapsed: c.now.Sub(c.started),
		SpentUSD: c.money.spent, StakeUSD: c.money.stake, Unpriced: c.money.unpriced}
	// Troubles of renders that ended well meanwhile are left out.
	for i, state := range c.renders {
		t, ok := c.trouble[i]
		switch {
		case !ok:
		case state == RenderFailed:
			s.Failures = append(s.Failures, t)
		case state == Held:
			s.Held = append(s.Held, t)
		case state == Active:
			s.Left = append(s.Left, t)
		}
	}
	for _, ep := range c.endpoints {
		if !ep.usable() {
			s.Unusable = append(s.Unusable, EndpointEvent{Name: ep.Name, Code: ep.dead.Code(), Reason: ep.reason})
			// Usable in principle, but silent for longer than Options.Patience.
		} else if !c.borne(ep) {
			s.Unusable = append(s.Unusable, EndpointEvent{Name: ep.Name, Code: ep.sickWith.Code(), Reason: ep.trouble})
		}
	}
	return s
}

// load reads the store and finds the renders in the plan that is run now.
func load(ctx context.Context, work Work, store Store, c *core) (in opened, err error) {
	if in.meta, err = store.Meta(ctx); err != nil {
		return in, err
	}
	in.plan = work.Hash()
	for a, err := range store.Attempts(ctx) {
		if err != nil {
			return in, err
		}
		in.attempts = append(in.attempts, savedAttempt{Attempt: a})
	}
	for rec, err := range store.Records(ctx) {
		if err != nil {
			return in, err
		}
		// Rows are written of ended renders only; any other one would be damage, and is passed over.
		if rec.State.Final() {
			in.records = append(in.records, c.saved(rec))
		}
	}
	// The plan was edited: ids are hashes of what is rendered, so what is the same is found again.
	if in.meta.Plan != in.plan || in.meta.Renders != work.Len() {
		in.reindex(work)
	}
	if err := in.bounded(work.Len()); err != nil {
		return in, err
	}
	// Last, as it may ask a cache that is far away.
	in.askReuser(ctx, c.opts.Reuse, work.Len())
	return in, nil
}

// saved keeps what counts of a record.
func (c *core) saved(rec Record) savedRecord {
	s := savedRecord{ref: RenderRef{rec.Render, rec.ID}, state: rec.State}
	if rec.State != Done {
		s.trouble = &Trouble{Render: rec.Render, Kind: rec.Kind, Code: rec.Kind.Code(), Reason: rec.Reason, Endpoint: rec.Endpoint, Remote: rec.Remote}
		return s
	}
	// A drawn picture does not stand in for a real one; a real one does for a drawn one.
	drawn := slices.ContainsFunc(rec.Files, func(f FileRecord) bool { return f.Preview })
	s.again = drawn && !c.previews() || c.opts.Keep != nil && !c.opts.Keep(rec)
	return s
}

// previews tells whether this run draws pictures and renders none.
func (c *core) previews() bool {
	return slices.ContainsFunc(c.endpoints, func(ep *endpoint) bool { return ep.Preview && !ep.drain })
}

// reindex finds the renders of an earlier plan in the new one, by their ids: O(stored + plan), and memory for what is stored only. -1 is a render
// that the new plan lacks.
func (in *opened) reindex(work Work) {
	now := map[compiler.RenderID]int{}
	for _, rec := range in.records {
		now[rec.ref.ID] = -1
	}
	for _, a := range in.attempts {
		for _, ref := range a.Renders {
			now[ref.ID] = -1
		}
	}
	for i := range work.Len() {
		if id := work.RenderID(i); len(now) > 0 {
			if _, ok := now[id]; ok {
				now[id] = i
			}
		}
	}
	for k := range in.records {
		in.records[k].move(now)
	}
	for k := range in.attempts {
		in.attempts[k].move(now)
	}
}

// move gives a row its index in the new plan; moved makes openRecord write it down.
func (r *savedRecord) move(now map[compiler.RenderID]int) {
	i := now[r.ref.ID]
	r.moved = i != r.ref.Index
	r.ref.Index = i
	if r.trouble != nil {
		r.trouble.Render = i
	}
}

func (a *savedAttempt) move(now map[compiler.RenderID]int) {
	// The store may hold on to the slice that it gave.
	refs := slices.Clone(a.Renders)
	for k, ref := range refs {
		refs[k].Index = now[ref.ID]
		a.moved = a.moved || refs[k].Index != ref.Index
	}
	a.Renders = refs
}

// bounded refuses a store whose indexes are not those of the plan it names.
// An index beyond the plan would be a panic later; -1 is allowed.
func (in *opened) bounded(n int) error {
	bad := errors.New("the stored state is damaged: it names renders that its plan does not have")
	for _, rec := range in.records {
		if rec.ref.Index >= n {
			return bad
		}
	}
	for _, a := range in.attempts {
		for _, ref := range a.Renders {
			if ref.Index >= n {
				return bad
			}
		}
	}
	return nil
}
