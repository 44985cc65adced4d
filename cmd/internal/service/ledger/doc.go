// Package ledger is the service's durable memory: works (batches and single jobs) with what is needed to run them again, the events that
// clients may ask for later, keys, the audit log, and webhook deliveries.
//
// [Open] takes a folder, and keeps one SQLite file there, service.db; [OpenPostgres] takes a URL, and keeps the same tables in a schema of
// their own, so that several replicas share them. Statements are written once, for both.
//
// # Group commit
//
// Every write is a function that is handed to one goroutine. It runs all that wait in one transaction, commits (synchronous=FULL), and
// then answers all of them: a write is durable when its call returns, and a thousand concurrent writes cost a few syncs. A function that
// fails takes nobody down with it: the group is rolled back and its functions are run again one by one, so a function may run twice and
// must only touch the transaction.
//
// # Holders
//
// Where replicas share the ledger a work is run by one of them at a time, its holder. Each write of a holder names the epoch in which it took the
// work, and fails with [ErrFenced] once another one has; see holder.go. What an owner may run at one time and spend is counted here, for all
// replicas together.
//
// # Concurrency and limits
//
// All methods may be called from many goroutines. Reads go through connections of their own and see what was committed before they
// began. A group has at most 512 functions. Rows hold what clients sent without the secrets, which are sealed before they come here.
package ledger
