package queue

import (
	"context"
	"errors"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/render"
	"github.com/comfyc/comfyc/render/run"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store"
)

// Result is how a batch ended, or stands. It is kept as JSON in its row.
// The counts are of renders and add up to Renders. Clients see it under "result", so its names stay.
type Result struct {
	Renders     int            `json:"renders"`
	Done        int            `json:"done"`
	Failed      int            `json:"failed"`
	Held        int            `json:"held"`
	Cancelled   int            `json:"cancelled"`
	Waiting     int            `json:"waiting"`
	Active      int            `json:"active"`
	Kept        int            `json:"kept"`                // done by earlier turns; part of Done
	Attempts    int            `json:"attempts"`            // submissions, all turns together
	Stopped     scheduler.Stop `json:"stopped,omitempty"`   // why no more was submitted; "" if all ended by itself
	Seconds     float64        `json:"seconds"`             // of this turn, by the clock
	SpentUSD    float64        `json:"spent_usd"`           // an estimate
	StakeUSD    float64        `json:"stake_usd,omitempty"` // what submissions with lost answers may have cost
	Unpriced    bool           `json:"unpriced,omitempty"`  // some attempts have no known price
	Failures    []Trouble      `json:"failures,omitempty"`  // at most maxTroubles
	HeldRenders []Trouble      `json:"held_renders,omitempty"`
}

// Trouble is one render that is not done.
type Trouble struct {
	Index    int    `json:"index"` // place in the plan, from 0
	ID       string `json:"id"`
	Code     string `json:"code,omitempty"` // for `comfyc explain`
	Reason   string `json:"reason,omitempty"`
	Endpoint string `json:"endpoint,omitempty"`
	Remote   string `json:"remote,omitempty"` // the job's id at the endpoint, if there is one
}

// maxTroubles bounds the list of each kind; manifest.json has all.
const maxTroubles = 100

// newResult sums a run up for the row and the clients.
func newResult(plan *compiler.Plan, s scheduler.Summary) Result {
	r := Result{Renders: s.Renders, Done: s.Counts[scheduler.Done], Failed: s.Counts[scheduler.RenderFailed], Held: s.Counts[scheduler.Held],
		Cancelled: s.Counts[scheduler.RenderCancelled], Waiting: s.Counts[scheduler.Waiting], Active: s.Counts[scheduler.Active], Kept: s.Kept,
		Attempts: s.Attempts, Stopped: s.Stopped, Seconds: s.Elapsed.Seconds(), SpentUSD: s.SpentUSD, StakeUSD: s.StakeUSD, Unpriced: s.Unpriced}
	r.Failures, r.HeldRenders = troubles(plan, s.Failures), troubles(plan, s.Held)
	return r
}

// troubles lists at most maxTroubles renders.
func troubles(plan *compiler.Plan, list []scheduler.Trouble) (out []Trouble) {
	for _, t := range list[:min(len(list), maxTroubles)] {
		out = append(out, Trouble{Index: t.Render, ID: plan.RenderID(t.Render).String(), Code: t.Kind.Code(), Reason: t.Reason, Endpoint: t.Endpoint, Remote: t.Remote})
	}
	return out
}

// runBatch does a batch, or what is left of it.
// It takes the same steps as `comfyc render`, with the service's bounds on top: share of places, key's budget, no files but the
// request's. Each error before the run fails the batch, unless the service stops.
func (q *Queue) runBatch(lv *live, r *Request, sealed []byte) ending {
	secrets, err := q.openSecrets(lv.id, sealed)
	if err != nil {
		return ending{state: ledger.Failed, err: err.Error()}
	}
	if secrets.Body != nil {
		r.Body = secrets.Body
	}
	files := q.tree(lv.id, r)
	// Compiled anew: what was stored is the text, and the configuration may have changed since.
	plan, findings := q.compile(lv.ctx, r, files)
	if plan == nil {
		return q.interrupted(lv, ending{state: ledger.Failed, err: firstError(findings)})
	}
	b, err := run.Open(plan, run.Options{Dir: q.OutDir(lv.id), FS: files, Dialect: q.deps(files), Depot: q.depot(lv.id, outFolder), Now: q.Now})
	if err != nil {
		return ending{state: ledger.Failed, err: err.Error()}
	}
	defer b.Close()
	// The state in the run directory makes this go on where an earlier process stopped: nothing that is done or under way is
	// submitted again.
	opts := b.Options()
	opts.OnEvent = func(e scheduler.Event) { q.event(lv, e) }
	opts.LeaveOnInterrupt = true // a stopping service leaves its remote jobs to the next turn
	work := lv.row()
	opts.RetryFailed, opts.ResubmitUncertain = work.Turns > 0, work.Wish == ledger.WishResubmit // only a retry tries failed renders again
	q.share(lv, plan, &opts)
	if end, ok := q.allow(lv, plan, &opts); !ok {
		return end
	}
	page, err := pageOptions(plan)
	if err != nil {
		return ending{state: ledger.Failed, err: err.Error()}
	}
	show := q.showing(lv, b, page)
	summary, err := q.runUntil(lv, &opts, func(ctx context.Context) (scheduler.Summary, error) { return b.Run(ctx, opts) })
	show()
	// Also after trouble, and without a context that could have ended: what is done is shown.
	if shown := b.WriteGallery(context.Background(), page); shown != nil && err == nil {
		err = shown
	}
	return q.interrupted(lv, batchEnding(plan, summary, err))
}

// runUntil runs until the end, or until the work is stopped: a cancelled work cancels its remote jobs, a service that stops leaves them.
// lv.ctx is not given to the run itself, because the two ways to end differ: cancelling needs calls to the remotes, stopping
// must not make any.
func (q *Queue) runUntil(lv *live, opts *scheduler.Options, do func(context.Context) (scheduler.Summary, error)) (scheduler.Summary, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	control := &scheduler.Control{}
	opts.Control = control
	unhook := context.AfterFunc(lv.ctx, func() {
		if errors.Is(context.Cause(lv.ctx), errCancelled) {
			control.Cancel()
			time.AfterFunc(cancelGrace, cancel) // a remote that does not answer must not hold the work for ever
			return
		}
		cancel()
	})
	defer unhook()
	return do(ctx)
}

// cancelGrace is how long the remotes may take to cancel; then their jobs are left.
const cancelGrace = 20 * time.Second

// interrupted tells a work that was stopped from one that ended by itself.
// A work that was done in spite of a cancel or a shutdown stays done: it has been paid for. The empty ending leaves the row to
// a later turn.
func (q *Queue) interrupted(lv *live, end ending) ending {
	switch cause := context.Cause(lv.ctx); {
	case errors.Is(cause, errTaken), errors.Is(cause, errShutdown) && end.state != ledger.Done:
		return ending{}
	case errors.Is(cause, errCancelled) && end.state != ledger.Done:
		end.state, end.err = ledger.Cancelled, ""
	}
	return end
}

// batchEnding chooses the state that a run leaves its batch in. A batch of which anything is done never has failed: it is incomplete.
// Stops by budget or deadline are no errors: they are incomplete, and a retry goes on.
func batchEnding(plan *compiler.Plan, s scheduler.Summary, err error) ending {
	end := ending{state: ledger.Incomplete, result: newResult(plan, s), spent: s.SpentUSD}
	switch {
	case err != nil:
		end.err = err.Error()
		if s.Counts[scheduler.Done] == 0 {
			end.state = ledger.Failed
		}
	case s.AllDone():
		end.state = ledger.Done
	case s.Counts[scheduler.Done] == 0 && s.Counts[scheduler.RenderFailed] == s.Renders: // nothing came of it: the first reason stands for all
		end.state = ledger.Failed
		if len(s.Failures) > 0 {
			end.err = s.Failures[0].Reason
		}
	}
	return end
}

// firstError says what stopped a compilation that was good when the request came: the configuration has changed since.
// Its place is in the client's own text.
func firstError(findings []diag.Diagnostic) string {
	for _, d := range findings {
		if d.Severity == diag.Error {
			return diag.Where(d.Place) + ": " + d.Message + " [" + d.Code + "]"
		}
	}
	return "the request cannot be compiled"
}

// share lets a batch's run ask for its part of its endpoints' places, again and again: see portion.
func (q *Queue) share(lv *live, plan *compiler.Plan, opts *scheduler.Options) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range plan.Endpoints() {
		lv.ends = append(lv.ends, e.Name)
	}
	opts.Shares = portion{q, lv}
}

// allow bounds a work by what is left of its key's budget for the month: opts.Budget is then what it may spend in all, earlier turns included.
// Works that run, on all replicas, have reserved their part. ok is false if nothing is left; then the work ends as the ending says.
// The reservation is twice the highest estimate, or all that is left of the budget if that is less, and ends when the work's
// end is saved.
func (q *Queue) allow(lv *live, plan *compiler.Plan, opts *scheduler.Options) (end ending, ok bool) {
	k := q.Ring.Owner(lv.owner)
	if k.BudgetUSD == 0 {
		return ending{}, true
	}
	work := lv.row()
	// Sum and reservation are one transaction, so that two works cannot both take the last dollar.
	usd, err := q.Ledger.Reserve(context.Background(), work, k.BudgetUSD, 2*highest(plan), month(q.Now()))
	switch {
	case err != nil:
		return ending{state: ledger.Failed, err: err.Error()}, false
	case usd <= 0:
		return ending{state: ledger.Incomplete, err: "the key's budget for this month is used up, or reserved by works that run", result: Result{Renders: plan.Len(), Waiting: plan.Len(), Stopped: scheduler.StopBudget}}, false
	}
	if most := work.Spent + usd; opts.Budget == nil || *opts.Budget > most {
		opts.Budget = &most
	}
	return ending{}, true
}

// highest is the most that a plan is expected to cost on one of its endpoints; a lot if that is not known.
// "A lot" makes Reserve set aside all that is left.
func highest(plan *compiler.Plan) (usd float64) {
	for _, e := range plan.Estimates() {
		if !e.Priced {
			return 1e9
		}
		usd = max(usd, e.USD.High)
	}
	if usd == 0 {
		return 1e9
	}
	return usd
}

// Galleries of running batches are written anew every galleryEvery, up to so many cells; larger ones at the end only.
const (
	galleryEvery = 3 * time.Second
	galleryCells = 5000
)

// pageOptions are those of a batch's gallery: the built-in theme that it names. Themes of folders are the command's only.
func pageOptions(plan *compiler.Plan) (render.GalleryOptions, error) {
	theme, err := render.BuiltInTheme(plan.Batch().Gallery.Theme)
	return render.GalleryOptions{Theme: theme}, err
}

// showing keeps the gallery of a running batch up to date; the page follows it. The function that it gives ends that.
// The page is written only if a render has ended since the last time, and only by the replica that holds the work.
func (q *Queue) showing(lv *live, b *run.Batch, page render.GalleryOptions) (end func()) {
	page.Live = int(galleryEvery / time.Second) // seconds until the page asks again
	if b.Plan().Coordinates() > galleryCells {
		return func() {}
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		timer := time.NewTicker(galleryEvery)
		defer timer.Stop()
		for {
			select {
			case <-stop:
				return
			case <-timer.C:
			}
			lv.mu.Lock()
			dirty := lv.dirty
			lv.dirty = false
			lv.mu.Unlock()
			if dirty && q.holds(lv) { // on Postgres this asks the database
				if err := b.WriteGallery(context.Background(), page); err != nil {
					q.Log.Warn("a gallery cannot be written", "work", lv.id, "error", err)
				}
			}
		}
	}()
	return func() { close(stop); <-ended }
}

// State opens the scheduler's state of a batch for reading; os.ErrNotExist if it has not begun.
// Close must be called on it. Of a batch on Postgres it reads the rows of all slices.
func (q *Queue) State(w ledger.Work) (scheduler.Store, error) {
	if q.leased(w) {
		return q.Leases.Store(w.ID), nil
	}
	return store.OpenRead(q.OutDir(w.ID))
}
