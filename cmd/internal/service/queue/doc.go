// Package queue takes works, batches and single jobs, makes them durable, and runs them on the configured endpoints.
//
// A work is compiled when it comes, so that its mistakes are answered at once, and again when its turn has come: what is stored is what the
// client sent. Then render/run does it, in a folder of its own:
//
//	DATA/service.db            the ledger
//	DATA/works/ID/in-…         files that came with it, if they are large
//	DATA/works/ID/out          the run directory: pictures, and for a batch its gallery and its state
//
// # Whose turn it is
//
// Waiting works stand in lines, one for each pool (and one for batches), priority and owner. When there is room on the endpoints the next
// one is taken: the highest priority first, then the owner who has had the least, measured by weight (stride scheduling), then the oldest.
// A job takes one place of its pool; a batch that is alone takes all places of its endpoints, and a share of them, by weight, while others want
// some (portion.go). Places
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
// With a ledger on Postgres every replica sees all works. A work's row has one holder at a time: a replica takes it by a conditional update that
// raises its epoch, shows every few seconds that it lives, and loses it after [Silence], by the database's clock. Every write says which epoch it is
// of, so that a replica that was only slow, or stopped and woken, writes nothing any more; [lease.Worker] and the fence of jobs keep it from
// sending anything either. What a key may run at one time and spend is counted in the database, for all replicas together.
//
// Batches are worked on by all replicas at once. The holder of a batch's row is only its steward (steward.go): when the batch's turn has come it puts
// it, with its files, into the queue of package lease, and River hands slices of it to the workers of all replicas (host opens it there), and of
// `comfyc work`. The steward keeps the gallery and writes down how the batch ended; if it dies another replica does that, and no render is
// disturbed. Events are rows under numbers that are the same on every replica (observe.go), so any of them answers for any batch. Pictures are in
// the data folder, which all replicas share. A batch's part of its endpoints' places follows the weights of all keys whose batches run and wait.
//
// A single job is one render, which cannot be cut: it is run by the holder of its row alone, as without Postgres. Its place on an endpoint is one of
// the places that all replicas and all slices share: each replica trades for what its jobs need together (share.go), so that the limit of jobs in
// flight holds over replicas, batches and jobs. Endpoints of the type preview are each replica's own, and are not shared.
//
// Progress of attempts is told for jobs and, where there is one process, for batches; batches of several replicas tell of renders and totals only.
//
// # Concurrency
//
// One goroutine hands out turns; each running work has two, one that runs it and one that makes its events durable and tells the listeners. With
// Postgres there are besides the worker, with one goroutine or more for each slice, one that trades for places, and one for each batch that
// somebody listens to.
// All exported methods may be called from many goroutines.
package queue
