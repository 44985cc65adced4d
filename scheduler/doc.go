// Package scheduler runs a plan on remotes that fail, and can be stopped and gone on with at any moment.
//
// [Run] takes the renders of a plan ([Work]), the endpoints to run them on ([Endpoint], one for each configured remote), the durable memory
// of the batch ([Store]), and the place where results are made safe ([Sink]). It goes on with what an earlier run left, submits what
// waits, and returns a [Summary] when every render has ended, or when something stopped it.
//
// # States
//
// A render is what is paid for. An attempt is one submission of a shard (the renders that travel as one remote job) to one endpoint.
// Both are in exactly one state, and every transition goes through one place, state.go, which writes the store, keeps the counters
// and tells the listener.
//
//	render
//	            ┌────────────── put back: the run stops ──────────────┐
//	            ▼                                                     │
//	         Waiting ──── an attempt begins ────► Active ─────────────┤
//	            │ ▲                                 │  │  │           │
//	            │ └── the user's word ── Held ◄─────┘  │  └► Cancelled
//	            │                                      ├───► Done       every owed file is safe
//	            └── no endpoint can run it ► Failed ◄──┘                no retry is left
//
//	attempt
//	         Reserved      an endpoint is chosen, the money is reserved
//	            │ intent written and synced
//	            ▼
//	        Submitting ── refused ───────────────► Failed
//	            │   └─── the answer was lost ────► Uncertain ─ given up ► Failed
//	            │ the remote gave its id, written
//	            ▼
//	        Submitted ─► Running ── failed ──────► Failed
//	            │           │  └── by us ────────► Cancelled
//	            │           │  └── not known ────► Expired
//	            └─────┬─────┘
//	                  ▼
//	              Finished ── the result is gone ► Expired
//	                  │    └─ no owed file in it ► Failed
//	                  │ files hashed, synced, renamed
//	                  ▼
//	              Collected
//
// A Waiting render that a Reuser knows (Options.Reuse) goes to Done without an attempt: it was rendered for another batch.
//
// A Waiting render goes to Cancelled by the user's word, and to Done when it is taken over from another batch. A render has one open attempt, or
// two while it is hedged. An Uncertain attempt goes back to Submitted when the remote, or its webhook, tells where it went.
//
// A new run lets Cancelled renders wait again, Failed ones with Options.RetryFailed, Held ones with Options.ResubmitUncertain.
//
// # Paying once
//
// The store has a row for every attempt before its POST is sent, and the remote's id as soon as it is known. A POST is never repeated: what
// fails is repeated as a new attempt, and only if the remote certainly did not take the old one. A submission whose answer was lost, or
// that a crash cut off, is Uncertain; its render is Held, with the money at stake, until the user decides. What has an id is polled on and
// never submitted again, also by a run weeks later. Intents of many submits share one commit.
//
// # What is done about trouble
//
//	Rejected            never again
//	MissingModel        another endpoint, for all graphs of the kind
//	OutOfMemory         an endpoint with another GPU
//	Busy                the endpoint waits as it was told; no retry is spent
//	Unreachable         the endpoint pauses; no retry is spent
//	Unauthorized        the endpoint is out of this run
//	Transient           again, elsewhere first, after a jittered pause
//	WorkerFailed        the same
//	Lost                again
//	Uncertain           asked about where the remote can tell; else held, or sent again, by Options.Uncertain
//
// A job of several renders that fails is taken apart, and its renders are tried one by one; nobody knows which was to blame, so this costs none
// of them a retry, and it happens to a render once at most. What came of a partial result is kept.
//
// Retries live at two levels and no third: a repeatable call (poll, cancel) is repeated by its schedule; a shard gets a new attempt. After five
// failed submits in a row an endpoint's breaker opens; it is probed by one submit after a growing pause. Only known final statuses end an
// attempt; any other answer means: poll on.
//
// # The pure core
//
// All decisions are made by step(core, inputs, now), which does no I/O, starts no goroutine, reads no clock, and draws its jitter from a
// seed. So the real loop, the tests in virtual time, and simulations run the same code. Files by concern: prepare.go (which shard is next),
// lane.go (where it waits), quota.go (how many jobs an endpoint is to run), cover.go (what can run nowhere else), answer.go (how large answers
// are), stats.go (counts of queues), route.go (where it goes), hedge.go (twice), queue.go (when a worker began), fuse.go (which go together),
// budget.go (money), submit.go, poll.go, collect.go, cancel.go (one call each, and its answers), retry.go (failure classes), health.go (breaker,
// rates), halt.go (stopping early), control.go (pause, cancel, priority, drain), hint.go and uncertain.go (news from outside), speeds.go (what
// earlier runs learned), resume.go (what an earlier run left), reuse.go (what was rendered for other batches).
//
// # Concurrency
//
// Run's caller's goroutine owns the core and all states (loop.go). Calls of endpoints, sink and store run in a pool (call.go) with a place
// for every call that the core may ask for at once, and come back as messages. No goroutine outlives Run. Endpoints, Work and Sink are used
// from many goroutines at once; Store.Apply from one at a time; Options.OnEvent from Run's own goroutine. Control may be used from any. One
// goroutine for each Watcher stands for the length of the run. Simulate and ForecastRun start none.
//
// # Limits
//
// Memory: one byte a render, a few hundred bytes for each job in flight, graphs only for what is about to be submitted, and at most about
// 64 MiB of results that wait to be made safe, plus those of the polls under way. At most 16 submits are under way per endpoint (128 where
// jobs take less than a second), 32 polls, 64 polls that the remote holds back, and 16 collects in all. Two runs do not know of each other: rates
// and budgets hold per run.
package scheduler
