package run

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store"
)

// A run is stopped from outside by a file in its directory, not by a signal: so it works on every system, also from another machine or container
// that shares the directory, and no wrong process is ever hit because a number was given anew.

// stopFile asks the process that runs the batch to stop.
const stopFile = "stop"

// stopEvery is how often a run looks for that file.
const stopEvery = 250 * time.Millisecond

// RequestStop asks the process that runs the batch in a directory to stop as at Ctrl-C. It returns at once; the process lets go of the directory
// when it has stopped.
func RequestStop(dir string) error {
	return os.WriteFile(filepath.Join(dir, store.Dir, stopFile), []byte("stop\n"), 0o666)
}

// stopper watches for the request while a run goes on.
type stopper struct {
	path string // "" where the directory is not ours
	hit  atomic.Bool
}

// forget removes a request that was meant for an earlier process.
func (s *stopper) forget() {
	if s.path != "" {
		_ = os.Remove(s.path)
	}
}

// watch gives a context that ends when the request is there. release ends the watching.
func (s *stopper) watch(ctx context.Context) (watched context.Context, release func()) {
	if s.path == "" {
		return ctx, func() {}
	}
	watched, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		every := time.NewTicker(stopEvery)
		defer every.Stop()
		for {
			select {
			case <-watched.Done():
				return
			case <-every.C:
				if _, err := os.Stat(s.path); err == nil {
					s.hit.Store(true)
					cancel()
				}
			}
		}
	}()
	return watched, func() { cancel(); <-ended }
}

// WasStopped tells whether the last run ended because [RequestStop] asked it to.
func (b *Batch) WasStopped() bool { return b.stop.hit.Load() }

// Cancel ends what an earlier process left: jobs that are on remotes are cancelled, those that had finished are collected, nothing is submitted.
// What waits goes on waiting, so that the batch can be run on. opts are those of [Batch.Options]; Grace bounds the time it takes.
func (b *Batch) Cancel(ctx context.Context, opts scheduler.Options) (scheduler.Summary, error) {
	opts.CancelOnly, opts.LeaveOnInterrupt = true, false
	return b.Run(ctx, opts)
}
