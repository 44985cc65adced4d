// Package run takes a compiled batch to its gallery: it opens the endpoints, the state and the collector of one run directory, lets
// the scheduler do what is left, and writes the manifest and the page. The command line, the HTTP service and Go programs use it alike.
//
//	plan, findings := compiler.NewBatch("flow.json").Axis("cfg", compiler.Span(3.5, 5, 0.5)).Compile(ctx, compiler.Source{Run: true})
//	batch, err := run.Open(plan, run.Options{Dir: "out"})
//	…
//	defer batch.Close()
//	for result, err := range batch.Results(ctx) {
//		…
//	}
//	err = batch.WriteGallery(ctx, render.GalleryOptions{})
//
// A run directory belongs to one Batch at a time, in one process; opening it again while it is in use is a *store.LockedError. Run the
// same plan again, or an edited one, in the same directory and what is done is kept.
//
// With Options.Cache, renders that were finished for other batches are taken from there, and what is rendered is kept there; see package cache.
// [RequestStop] stops the run of a directory from another process, and [Batch.Cancel] cancels what a process that died left on remotes.
//
// What a program brings of its own goes into [Options]: Endpoints, Post (steps of post-processing), Store, Cache; axes of its own are compiler.From.
// [Forecast] says before what a run would take and cost.
//
// Stability: programs are written against this package, so it changes last; before version 1, CHANGELOG.md says what did.
//
// Nothing is printed and nothing global is kept. A Batch may be used from several goroutines, but only one run of it goes on at a
// time. Everything stops when the context does; what was paid is in the state by then.
package run
