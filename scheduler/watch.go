package scheduler

import (
	"context"
	"math/rand/v2"
	"time"
)

// Watches: one for each endpoint that tells by itself what happens, from the first job there until the run ends. What it tells is handed to the
// core as hints.

const (
	watchPause = time.Second // before a broken watch begins anew; doubled up to:
	watchRest  = time.Minute
)

// watch begins to watch an endpoint, once, at its first submit or poll: an endpoint without jobs has nothing to tell.
func (l *loop) watch(i int) {
	w, ok := l.ends[i].(Watcher)
	if !ok || l.watching[i] {
		return
	}
	l.watching[i] = true
	name := l.ends[i].Properties().Name
	l.pool.Go(func() { l.keepWatch(w, i, name) })
}

// keepWatch watches until the run ends. It may not block on the inbox, so all that it has to say goes through the control.
func (l *loop) keepWatch(w Watcher, i int, name string) {
	defer func() {
		if v := recover(); v != nil {
			l.news.add(panicHint{v})
		}
	}()
	for pause := watchPause; l.calls.Err() == nil; {
		began, up := time.Now(), false
		// The first hint shows that the connection is there; until then, and after it broke, its jobs are polled as usual.
		_ = w.Watch(l.calls, func(h Hint) { // why it broke does not matter: polls go on
			if !up {
				up = true
				l.news.add(watched{i, true})
			}
			h.Endpoint = name
			l.news.Hint(h)
		})
		if up {
			l.news.add(watched{i, false})
		}
		// It held for a while, so this is no endpoint that refuses at once: the pauses begin anew.
		if time.Since(began) > watchRest {
			pause = watchPause
		}
		// By chance, so that the watches of many runs do not come back together.
		sleep(l.calls, pause/2+rand.N(pause/2))
		pause = min(2*pause, watchRest)
	}
}

// panicHint brings a bug of a Watcher into the loop's goroutine.
type panicHint struct{ value any }

func (in panicHint) apply(*core) { panic(in.value) }

// pollWait is a poll that the remote may hold back.
func (l *loop) pollWait(k call) (Status, error) {
	long, ok := l.ends[k.endpoint].(LongPoller)
	wait := k.wait
	if !ok {
		wait = 0
	}
	// The remote may hold the answer for all of wait; only what comes on top of it is trouble.
	ctx, cancel := context.WithTimeout(l.calls, pollTime+wait)
	defer cancel()
	if wait > 0 {
		return long.PollWait(ctx, k.remote, wait)
	}
	return l.ends[k.endpoint].Poll(ctx, k.remote)
}
