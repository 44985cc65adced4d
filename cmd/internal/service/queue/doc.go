// Package queue takes works, batches and single jobs, makes them durable, and runs them on the configured endpoints.
//
// A work is compiled when it comes, so that its mistakes are answered at once, and again when its turn has come: what is stored is what the
// client sent. Then render/run does it, in a folder of its own:
//
//	DATA/service.db            the ledger
//	DATA/works/ID/in           files that came with it, if they are large
//	DATA/works/ID/out          the run directory: pictures, and for a batch its gallery and its state
//
// # Whose turn it is
//
// Waiting works stand in lines, one for each pool (and one for batches), priority and owner. When there is room on the endpoints the next
// one is taken: the highest priority first, then the owner who has had the least, measured by weight (stride scheduling), then the oldest.
// A job takes one place of its pool; a batch takes a share of its endpoints' places, by weight among the batches that run and wait. Places
// are the endpoints' limits of jobs in flight, so that all works together keep them.
//
// # One run per job
//
// Each job is a run of its own, with its state in the ledger, where the commits of all jobs are shared: it is submitted once its row is
// durable, survives a crash at any moment as a batch does, and waits for nobody else's job. What is lost by that is that jobs of different
// requests are not fused, and that each run learns by itself how an endpoint does.
//
// # Replicas
//
// With a ledger that is shared, every replica sees all works; one takes a work by a conditional update that raises its epoch, shows every few
// seconds that it lives, and loses the work after [Silence]. Every write of a work's state says which epoch it is of, so that a replica that
// was only slow writes nothing any more.
//
// # Concurrency
//
// One goroutine hands out turns; each running work has two, one that runs it and one that makes its events durable and tells the listeners.
// All exported methods may be called from many goroutines.
package queue
