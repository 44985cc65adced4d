package scheduler

import "time"

// From "the remote is done" to "the files are safe here". A result waits in memory until the sink has it: by expiry, at most maxCollecting at a time.
// A render becomes Done here and nowhere else but in reuse.go, and only by the sink's word for that very render.

const (
	maxCollecting = 16
	secondLooks   = 3 // how often a result is asked for again whose files could not be fetched
)

// completed deals with a job that the remote has done. Its result is there until it expires.
func (c *core) completed(a *attempt, st Status) {
	if len(a.shard.renders) == 0 || a.beaten { // of an earlier plan, or too late: nobody wants it
		c.settle(a, c.paid(a, st))
		c.end(a, AttemptCancelled, Lost, a.cancel)
		return
	}
	// Once per attempt: a second look at a result, or one that an earlier run had finished, is neither learned from nor paid again.
	if a.State != AttemptFinished {
		paid := c.paid(a, st)
		c.learn(a, st, paid)
		c.settle(a, paid)
		a.Finished = c.now
		a.Expires = a.alive.Add(a.endpoint.Limits.Retention)
		c.setAttempt(a, AttemptFinished)
	}
	c.toCollect(a)
}

// toCollect queues a result to be made safe, that which expires first before the others. The backlog counts until the sink has it, and above its
// bounds nothing is polled: memory does not grow with a slow disk.
func (c *core) toCollect(a *attempt) {
	if a.hasOutput {
		return
	}
	a.hasOutput = true
	c.backlog++
	c.backlogBytes += a.outputs
	c.finished.add(a.Expires, a)
}

// dropOutput notes that an attempt's outputs are no longer in memory.
func (c *core) dropOutput(a *attempt) {
	a.hasOutput = false
	c.backlog--
	c.backlogBytes -= a.outputs
}

// collect starts making results safe.
func (c *core) collect() {
	// Results whose pause after trouble with the sink is over come back into the queue.
	for c.sick.waiting.len() > 0 {
		if at, _ := c.sick.waiting.head(); at.After(c.now) {
			break
		}
		a := c.sick.waiting.take()
		c.finished.add(a.Expires, a)
	}
	for c.collecting < maxCollecting && c.finished.len() > 0 {
		a := c.finished.take()
		if a.isLeft {
			c.dropOutput(a)
			continue
		}
		c.collecting++
		c.ask(call{kind: callCollect, endpoint: a.endpoint.index, shard: a.shard.id, attempt: a.Number, remote: a.Remote, renders: a.shard.renders, result: c.result(a)})
	}
}

// result is what the core knows of a result; the loop adds the job and the outputs.
func (c *core) result(a *attempt) *Result {
	return &Result{Endpoint: a.endpoint.Properties, Remote: a.Remote, Worker: a.Worker, Submitted: a.Submitted, Finished: a.Finished,
		Execution: time.Duration(a.Seconds * float64(time.Second)), CostUSD: a.CostUSD, Attempt: a.Try}
}

// collected is the answer to callCollect.
type collected struct {
	attempt int64
	got     Collected
	err     error // of the sink as a whole
}

func (in collected) apply(c *core) {
	c.calls--
	c.collecting--
	a := c.attempts[in.attempt]
	// The outputs stay in memory: the same result goes to the sink again when it is well.
	if in.err != nil {
		c.sinkFailed(a, in.err)
		return
	}
	c.dropOutput(a)
	c.sinkWorks()
	c.finish(a, in.got)
}

// finish ends an attempt whose files are as safe as they will be. It counts what is Done now, not what the sink says: renders that another attempt
// had finished before are not missing, and end once.
func (c *core) finish(a *attempt, got Collected) {
	s, done := a.shard, 0
	for _, d := range got.Done {
		if c.isDone(d, a) {
			done++
		}
	}
	missing := c.stillActive(s.renders)
	if len(missing) == 0 {
		a.praise()
		// Only now: until its files are safe, the other attempt is a second chance.
		c.dropTwin(a)
		c.setAttempt(a, AttemptCollected)
		return
	}
	kind, why := reasonFor(got.Missing, missing)
	// The result is still on the remote, and asking for it costs nothing: poll again after 1, 2 and 3 s, for the missing renders only.
	if kind == Transient && a.collects < secondLooks && c.stop == "" {
		a.collects++
		s.renders = missing
		c.pollIn(a, time.Duration(a.collects)*time.Second)
		return
	}
	a.code = "missing_output"
	// An attempt that gave something is Collected; only the missing renders go on, in a shard of their own.
	if done > 0 {
		c.setAttempt(a, AttemptCollected)
	} else {
		c.end(a, AttemptFailed, kind, why)
	}
	c.partial(a, missing, kind, why)
}

// isDone makes a render Done, unless it ended otherwise meanwhile, as by a faster twin or a cancel: each render ends once.
func (c *core) isDone(d DoneRender, a *attempt) bool {
	if c.renders[d.Render] != Active {
		return false
	}
	rec := c.record(a)
	rec.Files = d.Files
	c.ended++
	delete(c.trouble, d.Render)
	c.setRender(d.Render, Done, rec)
	return true
}

// stillActive gives those of some renders that have not ended.
func (c *core) stillActive(renders []int) (left []int) {
	for _, i := range renders {
		if c.renders[i] == Active {
			left = append(left, i)
		}
	}
	return left
}

// reasonFor gives what is said of the first render that is missing. What the sink forgot to mention is Lost.
func reasonFor(missing []MissingRender, renders []int) (Kind, string) {
	for _, m := range missing {
		if m.Render == renders[0] {
			return m.Kind, m.Reason
		}
	}
	return Lost, "the result did not hold its files"
}

// partial does again what is missing of a result, and only that. What an endpoint will never give is tried on another.
func (c *core) partial(a *attempt, missing []int, kind Kind, why string) {
	s := c.newShard(missing...)
	// The new shard goes on where the old one was: its tries, its cost, and where it cannot run.
	s.history, s.unfit, s.class = a.shard.history, a.shard.unfit, a.shard.class
	a.shard, a.Kind, a.Reason = s, kind, why
	// The sink rejects what this endpoint's answer can never hold, such as a kind of file that its worker drops. On another one it may.
	if kind == Rejected {
		c.exclude(s, a.endpoint, why)
		kind = Lost
	}
	c.retry(a, kind, true)
}

// sickness is trouble of the sink as a whole, such as a full disk: nothing is submitted while it lasts, and what is finished remotely is
// tried again.
type sickness struct {
	since   time.Time // zero: it is well
	fails   int
	err     error
	waiting timeline[*attempt]
}

func (s *sickness) is() bool { return !s.since.IsZero() }

func (c *core) sinkFailed(a *attempt, err error) {
	// The remote still has the result; the next run fetches it, if it comes in time.
	if c.aborted || a.isLeft {
		c.dropOutput(a)
		c.leave(a, "the run ended before its files were safe")
		return
	}
	c.sick.waiting.add(c.now.Add(c.sinkTrouble(err)), a)
}

// sinkTrouble notes that files cannot be written, and gives the pause before it is tried again.
func (c *core) sinkTrouble(err error) time.Duration {
	if !c.sick.is() {
		c.sick.since = c.now
		c.emit(Event{Notice: &Notice{"sink_trouble", "files cannot be written, so nothing is submitted until they can: " + err.Error()}})
	}
	c.sick.err = err
	c.sick.fails++
	wait := min(500*time.Millisecond<<min(c.sick.fails-1, 6), 15*time.Second)
	return c.jitter(wait)
}

func (c *core) sinkWorks() {
	if c.sick.is() {
		c.sick.since, c.sick.fails = time.Time{}, 0
		c.emit(Event{Notice: &Notice{"sink_trouble", "files can be written again"}})
	}
}
