// Package store is the durable memory of a batch: what was submitted, what it became, and where it is. It implements
// [scheduler.Store] three times: [SQLite], one file in the run directory; [PostgresSlice], a part of a batch in a database that many machines
// share (package lease hands the parts out); and [Memory], for tests and for runs that need not be gone on with. Their rows are the same, told
// once in schema.go, and one conformance suite holds for all.
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
// In Postgres a slice of a batch has an owner, an epoch and a heartbeat by the database's clock. Apply is one round trip and one synced transaction,
// whose first statement locks the slice's row if the epoch is still the owner's; else nothing is written and the error is a
// *scheduler.FencedError. All tables are in the schema comfyc, and are brought forward under a lock by who comes first.
//
// Concurrency: one goroutine applies; any number read meanwhile, through connections of their own.
//
// Limits: the file should lie on a local disk: SQLite's and flock's promises are weak on network file systems.
package store
