package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// writer gathers changes while a commit is under way, and writes them all in the next one. Submits wait in it for their intents.
// It belongs to the loop's goroutine; only Apply runs in the pool.
type writer struct {
	pending []Change
	byRow   map[int64]int // attempt number → its place in pending
	held    []call        // submits whose intents are in pending
	due     time.Time     // when pending is written though nothing hurries; zero: nothing pends
	urgent  bool          // pending holds what must be durable soon: an intent, or a remote's id

	busy    bool
	writing []Change
	sending []call // submits to start when writing is durable
	tries   int
	since   time.Time // since when it cannot be written; zero: it can
}

const (
	lazyWrite  = 50 * time.Millisecond // how long a change that can be found out again may wait for company
	writeTries = 6                     // before anybody is told
	slowWrite  = 5 * time.Second       // between two tries, at most
)

// written is the end of a commit.
type written struct{ err error }

func (w *writer) idle() bool { return !w.busy && len(w.pending) == 0 && len(w.held) == 0 }

// add takes changes in. A later row of an attempt replaces an earlier one that was not written yet.
func (w *writer) add(changes []Change) {
	for _, ch := range changes {
		if ch.Attempt == nil {
			w.pending = append(w.pending, ch)
			continue
		}
		w.urgent = w.urgent || ch.Attempt.State <= AttemptSubmitted
		// The row as a whole is written, so only its last form counts; the place of the first one keeps the order among rows.
		if at, ok := w.byRow[ch.Attempt.Number]; ok {
			w.pending[at] = ch
			continue
		}
		w.byRow[ch.Attempt.Number] = len(w.pending)
		w.pending = append(w.pending, ch)
	}
}

// flush starts a commit, if there is something to write, no commit is under way, and it hurries or has waited long enough.
func (l *loop) flush(now bool) {
	w := &l.writer
	if w.busy || len(w.pending) == 0 {
		return
	}
	if w.due.IsZero() {
		w.due = time.Now().Add(lazyWrite)
	}
	if !now && !w.urgent && time.Now().Before(w.due) {
		return
	}
	// The two lists change places, so that neither is made anew for each commit.
	w.writing, w.pending = w.pending, w.writing[:0]
	w.sending, w.held = w.held, w.sending[:0]
	clear(w.byRow)
	w.due, w.urgent, w.tries = time.Time{}, false, 0
	l.commit()
}

// commit applies what is in writing, in the pool. An interrupt does not cut it off.
func (l *loop) commit() {
	w := &l.writer
	w.busy = true
	batch, wait := w.writing, time.Duration(0)
	if w.tries > 0 {
		wait = min(50*time.Millisecond<<min(w.tries, 10), slowWrite)
	}
	l.spawn(func() any {
		sleep(l.calls, wait)
		return written{l.store.Apply(context.WithoutCancel(l.calls), batch)}
	})
}

func sleep(ctx context.Context, d time.Duration) {
	if d > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(d):
		}
	}
}

// wrote starts the submits whose intents are durable now. A store that cannot be written ends the run: nothing could be submitted.
func (l *loop) wrote(m written, inputs []input) []input {
	w := &l.writer
	w.busy = false
	if m.err != nil {
		var fenced *FencedError
		if w.tries++; l.bearable(m.err) && !errors.As(m.err, &fenced) {
			l.commit()
			return inputs
		}
		l.err = fmt.Errorf("write the batch's state: %w", m.err)
		return inputs
	}
	if !w.since.IsZero() {
		w.since = time.Time{}
		l.tell("the batch's state can be written again")
	}
	for _, k := range w.sending {
		// A run that stopped during the commit sends nothing more.
		if l.core.stop == "" {
			l.start(k)
		} else {
			inputs = append(inputs, submitted{attempt: k.attempt, unsent: true})
		}
	}
	w.sending = w.sending[:0]
	clear(w.writing)
	return inputs
}

// bearable tells whether a store that cannot be written is tried again: as long as a full disk is borne. No submit is sent meanwhile, as its intent
// is not durable; what comes back from remotes is kept in memory, and on the remotes.
func (l *loop) bearable(err error) bool {
	w := &l.writer
	if w.since.IsZero() {
		w.since = time.Now()
		return true
	}
	if w.tries == writeTries {
		l.tell("the batch's state cannot be written, so nothing is submitted until it can: " + err.Error())
	}
	return time.Since(w.since) < l.opts.Patience && !l.core.aborted
}

// tell sends a notice of the loop's own.
func (l *loop) tell(text string) {
	if l.writer.tries >= writeTries && l.opts.OnEvent != nil {
		l.opts.OnEvent(Event{Time: time.Now(), Notice: &Notice{StopStore.Code(), text}})
	}
}

// unsend takes back the submits that wait for a commit, since the run was interrupted.
func (l *loop) unsend(inputs []input) []input {
	for _, k := range l.writer.held {
		inputs = append(inputs, submitted{attempt: k.attempt, unsent: true})
	}
	l.writer.held = nil
	return inputs
}
