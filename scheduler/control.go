package scheduler

import (
	"slices"
	"sync"
)

// Control steers a run from outside: Options.Control is a pointer to one. The zero value is ready. All methods may be called from any goroutine,
// before, during and after the run, return at once, and never fail; what they ask for happens soon, in the order of the calls. A Control belongs
// to one run at a time.
type Control struct {
	mu     sync.Mutex
	orders []input
	hints  int           // of the orders
	bell   chan struct{} // rung when there is an order; made on first use
}

// maxHints bounds the hints that wait to be taken; more are dropped, as polling decides anyway.
const maxHints = 4096

// Pause submits nothing more until Resume. Jobs on remotes go on, and their results are collected. A paused run does not end, unless every
// render has ended or something else stops it.
func (c *Control) Pause() { c.add(pauseOrder(true)) }

// Resume ends a pause.
func (c *Control) Resume() { c.add(pauseOrder(false)) }

// Cancel cancels some renders, by their index, or all if none are named. What waits is never submitted; what is on a remote is cancelled there, and
// kept if it was done already. A remote job that holds other renders too goes on. The run ends as usual when every render has ended.
// Renders that have ended, or are Held, stay as they are.
func (c *Control) Cancel(renders ...int) { c.add(cancelOrder(slices.Clone(renders))) }

// Drain ends the run in good order: nothing more is submitted, jobs on remotes finish and are collected. Summary.Stopped is then
// StopDrained. Unlike the end of the run's context it cancels nothing and has no time limit; that end may follow it.
func (c *Control) Drain() { c.add(drainOrder{}) }

// Priority lets waiting renders, by their index, go before all of a lower level, and among equals by index. All begin at 0. What is on a remote
// already stays there.
func (c *Control) Priority(level int, renders ...int) {
	c.add(priorityOrder{level, slices.Clone(renders)})
}

// Hint passes on news about a job, such as a webhook's delivery: the job is polled at once. It never changes a state by itself, so it may be
// wrong, late or from anybody.
func (c *Control) Hint(h Hint) { c.add(hinted(h)) }

func (c *Control) add(in input) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := in.(hinted); ok {
		if c.hints >= maxHints {
			return
		}
		c.hints++
	}
	c.orders = append(c.orders, in)
	select {
	case c.ring() <- struct{}{}:
	default: // it was rung and not heard yet
	}
}

// ring gives the bell. The lock is held.
func (c *Control) ring() chan struct{} {
	if c.bell == nil {
		c.bell = make(chan struct{}, 1)
	}
	return c.bell
}

// heard gives the channel that the loop waits on.
func (c *Control) heard() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ring()
}

// take moves what was ordered to the inputs of the core.
func (c *Control) take(inputs []input) []input {
	c.mu.Lock()
	defer c.mu.Unlock()
	inputs = append(inputs, c.orders...)
	c.orders, c.hints = nil, 0
	return inputs
}

type (
	pauseOrder    bool
	cancelOrder   []int
	drainOrder    struct{}
	priorityOrder struct {
		level   int
		renders []int
	}
	hinted Hint
)

func (in pauseOrder) apply(c *core) {
	if c.paused == bool(in) || c.stop != "" {
		return
	}
	c.paused = bool(in)
	c.changed = true
	if c.paused {
		c.emit(Event{Notice: &Notice{"paused", "paused: nothing is submitted until the run is resumed"}})
	} else {
		c.emit(Event{Notice: &Notice{"resumed", "resumed"}})
	}
}

func (drainOrder) apply(c *core) { c.halt(StopDrained) }

// unwantedWhy is recorded of renders that were cancelled one by one.
const unwantedWhy = "it was cancelled"

func (in cancelOrder) apply(c *core) {
	all := len(in) == 0
	if all {
		c.unwantAll = true
	}
	for _, i := range in {
		if i >= 0 && i < len(c.renders) && !c.renders[i].Final() {
			c.unwanted[i] = true
		}
	}
	c.sift()
	if all {
		for i, state := range c.renders {
			c.dropWaiting(i, state)
		}
	} else {
		for _, i := range in {
			if c.isUnwanted(i) {
				c.dropWaiting(i, c.renders[i])
			}
		}
	}
	for _, a := range c.open() {
		c.stopOne(a)
	}
}

// isUnwanted tells whether a render was cancelled.
func (c *core) isUnwanted(i int) bool { return c.unwantAll || c.unwanted[i] }

// dropWaiting cancels a render that waits for its turn, and is in no shard.
func (c *core) dropWaiting(i int, state RenderState) {
	if state == Waiting && !c.inShard(i) {
		c.cancelRender(i, &Record{Kind: Lost, Reason: unwantedWhy, Finished: c.now})
	}
}

// cancelRender ends a render by the user's word.
func (c *core) cancelRender(i int, rec *Record) {
	c.ended++
	delete(c.unwanted, i)
	c.setRender(i, RenderCancelled, rec)
}

// inShard tells whether a waiting render is being prepared.
func (c *core) inShard(i int) bool {
	for _, s := range c.shards {
		if slices.Contains(s.renders, i) {
			return true
		}
	}
	return false
}

// sift takes cancelled renders out of all shards that are not on their way.
func (c *core) sift() {
	c.eachReady(func(s *shard) bool { return c.wantsAny(s) })
	late := c.delayed
	c.delayed = timeline[*shard]{next: late.next}
	for late.len() > 0 {
		at, s := late.head()
		late.take()
		if c.wantsAny(s) {
			c.delayed.add(at, s)
		}
	}
}

// wantsAny cancels the unwanted renders of a shard and tells whether any is left. A shard of several is kept whole as long as one is wanted.
func (c *core) wantsAny(s *shard) bool {
	if !c.unwantAll && len(c.unwanted) == 0 || slices.ContainsFunc(s.renders, func(i int) bool { return !c.isUnwanted(i) }) {
		return true
	}
	for _, i := range s.renders {
		if !c.renders[i].Final() {
			c.cancelRender(i, &Record{Kind: Lost, Reason: unwantedWhy, Attempts: s.attempts, Finished: c.now, CostUSD: s.costUSD()})
		}
	}
	return false
}

// allUnwanted tells whether nobody waits for any render of an attempt.
func (c *core) allUnwanted(a *attempt) bool {
	if !c.unwantAll && len(c.unwanted) == 0 {
		return false
	}
	return !slices.ContainsFunc(a.shard.renders, func(i int) bool { return c.renders[i] == Active && !c.isUnwanted(i) })
}

func (in priorityOrder) apply(c *core) {
	for _, i := range in.renders {
		if i < 0 || i >= len(c.renders) || c.renders[i] != Waiting {
			continue
		}
		_, known := c.priority[i]
		c.priority[i] = in.level
		if !known && i >= c.cursor {
			c.ahead = append(c.ahead, i)
		}
	}
	slices.SortFunc(c.ahead, func(a, b int) int {
		if d := c.priority[b] - c.priority[a]; d != 0 {
			return d
		}
		return a - b
	})
	c.resort()
}
