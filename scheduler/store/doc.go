// Package store is the durable memory of a batch: what was submitted, what it became, and where it is. It implements
// [scheduler.Store] twice: [SQLite], one file in the run directory, and [Memory], for tests and for runs that need not be
// gone on with.
//
// A run directory holds
//
//	.comfyc/state.db   the state (with state.db-wal and state.db-shm while it is in use)
//	.comfyc/lock       says who holds the directory
//
// [Open] takes the lock, so that one process at a time runs a batch; [OpenRead] takes none and sees what is committed, so that
// `comfyc status` works on a batch that is running. A directory that was moved, also to another machine, goes on there.
//
// Every Apply is one transaction, synced before it returns (WAL, synchronous=FULL). A file that is not such a state, that is
// damaged, or that a newer comfyc wrote is refused with a [FileError] and left as it is. Older states are brought forward when they
// are opened, a version at a time.
//
// Concurrency: one goroutine applies; any number read meanwhile, through connections of their own.
//
// Limits: the file should lie on a local disk: SQLite's and flock's promises are weak on network file systems.
package store
