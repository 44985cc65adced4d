package scheduler

import (
	"context"
	"iter"
)

// Stream is Run as an iterator over what happens, for callers that want to look at each event:
//
//	for event, err := range scheduler.Stream(ctx, work, endpoints, store, sink, options) {
//
// The run goes on in the body's goroutine between two events, so a slow body slows it down. The last pair holds the event with the
// Summary, and Run's error. A body that breaks off interrupts the run as the end of ctx does: the loop ends when the run has.
// Options.OnEvent is told the same events before.
func Stream(ctx context.Context, work Work, endpoints []Endpoint, store Store, sink Sink, options Options) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		told, gone := options.OnEvent, false
		options.OnEvent = func(e Event) {
			if told != nil {
				told(e)
			}
			if !gone && !yield(e, nil) {
				gone = true
				cancel()
			}
		}
		sum, err := Run(ctx, work, endpoints, store, sink, options)
		if !gone {
			yield(Event{Summary: &sum}, err)
		}
	}
}
