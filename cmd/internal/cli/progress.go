package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/comfyc/comfyc/scheduler"
)

// progress shows a run while it goes on. Event is called from one goroutine.
// The scheduler calls Event while the batch's loop waits for it, so an implementation must be quick.
type progress interface {
	Event(scheduler.Event)
	// Close ends the display; nothing is shown after it.
	Close()
}

// newProgress chooses the form: JSON lines on stdout, bars on a terminal, plain lines elsewhere.
// The log of a CI run is no terminal: it gets a line of totals at most every five seconds.
func newProgress(env *Env, asJSON bool, renders int) progress {
	switch {
	case asJSON:
		return &jsonLines{json.NewEncoder(env.Stdout)}
	case env.Terminal:
		return newBars(env.Stderr, renders)
	}
	return &plainLines{w: env.Stderr, now: env.Now}
}

// jsonLines prints each event as a line.
// The names in it are the scheduler's; a consumer that is gone (a closed pipe) does not stop the run.
type jsonLines struct{ enc *json.Encoder }

func (p *jsonLines) Event(e scheduler.Event) { _ = p.enc.Encode(e) }
func (p *jsonLines) Close()                  {}

// plainLines prints the totals every few seconds, and trouble at once.
type plainLines struct {
	w    io.Writer
	now  func() time.Time // the clock of Env, which tests set
	last time.Time        // when totals were printed last
	said string           // the last line of totals, which is not printed twice
}

// plainEvery is the pause between two lines of totals.
const plainEvery = 5 * time.Second

// Event prints trouble at once, however often it comes.
func (p *plainLines) Event(e scheduler.Event) {
	if text := trouble(e); text != "" {
		fmt.Fprintln(p.w, "comfyc: "+text)
	}
	if e.Totals == nil || p.now().Sub(p.last) < plainEvery {
		return
	}
	p.last = p.now()
	if line := totalsLine(*e.Totals); line != p.said {
		p.said = line
		fmt.Fprintln(p.w, "comfyc: "+line)
	}
}

func (p *plainLines) Close() {}

// trouble puts an event that a person should see at once into words; "" for all others.
// These are notices, endpoints that fell out, and renders that failed or are held; the code in brackets is one for `comfyc
// explain`.
func trouble(e scheduler.Event) string {
	switch {
	case e.Notice != nil:
		return e.Notice.Message + " [" + e.Notice.Code + "]"
	case e.Endpoint != nil && !e.Endpoint.Usable:
		return fmt.Sprintf("endpoint %s: %s [%s]", e.Endpoint.Name, e.Endpoint.Reason, e.Endpoint.Code)
	case e.Render != nil && (e.Render.State == scheduler.RenderFailed || e.Render.State == scheduler.Held):
		return fmt.Sprintf("render %d %s: %s [%s]", e.Render.Index, e.Render.State, e.Render.Reason, e.Render.Code)
	}
	return ""
}

// totalsLine is the one-line form of where a run stands.
// For example: 40 of 200 done, 8 in flight, $0.0312 of $5.00, 3m20s to go. Parts that are 0 are left out.
func totalsLine(t scheduler.Totals) string {
	all := t.Waiting + t.Active + t.Done + t.Failed + t.Cancelled + t.Held
	line := fmt.Sprintf("%d of %d done", t.Done, all)
	for _, part := range []struct {
		n    int
		word string
	}{{t.InFlight, "in flight"}, {t.Failed, "failed"}, {t.Held, "held"}, {t.Cancelled, "cancelled"}} {
		if part.n > 0 {
			line += fmt.Sprintf(", %d %s", part.n, part.word)
		}
	}
	if t.SpentUSD+t.ReservedUSD > 0 {
		line += ", " + money(t)
	}
	if t.ETA > 0 {
		line += ", " + t.ETA.Round(time.Second).String() + " to go"
	}
	return line
}

// money is the meter: what was spent, and the cap if there is one. All sums are estimates.
// Reserved money is not added: it is what jobs under way may cost, and comes back in part.
func money(t scheduler.Totals) string {
	s := dollars(t.SpentUSD)
	if t.BudgetUSD != nil {
		s += fmt.Sprintf(" of $%.2f", *t.BudgetUSD)
	}
	if t.StakeUSD > 0 {
		s += fmt.Sprintf(" (and %s uncertain)", dollars(t.StakeUSD))
	}
	return s
}

// dollars prints a sum with as many digits as it needs to say something.
// Two digits from one dollar, four from a tenth of a cent, else two significant ones: a render on a cheap GPU costs $0.0004.
func dollars(usd float64) string {
	switch {
	case usd >= 1:
		return fmt.Sprintf("$%.2f", usd)
	case usd >= 0.001:
		return fmt.Sprintf("$%.4f", usd)
	}
	return fmt.Sprintf("$%.2g", usd)
}

// bars draws one bar for the batch with the counts, the money and the time to go.
// mpb draws from a goroutine of its own; trouble is printed above the bar through the pool, or it would tear it.
type bars struct {
	pool *mpb.Progress
	bar  *mpb.Bar

	mu     sync.Mutex // the bar's goroutine reads what events write
	totals scheduler.Totals
}

func newBars(w io.Writer, renders int) *bars {
	b := &bars{pool: mpb.New(mpb.WithOutput(w), mpb.WithWidth(40), mpb.WithAutoRefresh())}
	b.bar = b.pool.AddBar(int64(renders),
		mpb.PrependDecorators(decor.Name("render "), decor.CountersNoUnit("%d/%d")),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
			b.mu.Lock() // called at each redraw, in mpb's goroutine
			defer b.mu.Unlock()
			return " " + totalsLine(b.totals)
		})))
	return b
}

func (b *bars) Event(e scheduler.Event) {
	if text := trouble(e); text != "" {
		fmt.Fprintln(b.pool, "comfyc: "+text)
	}
	if e.Totals == nil {
		return
	}
	b.mu.Lock()
	b.totals = *e.Totals
	b.mu.Unlock()
	b.bar.SetCurrent(int64(e.Totals.Done))
}

// Close leaves the bar as it stands: an interrupted run shows how far it came.
func (b *bars) Close() {
	b.bar.Abort(false)
	b.pool.Wait()
}
