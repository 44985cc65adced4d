package scheduler_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store"
)

// memorySink is a sink of a program's own: it keeps what jobs gave back in memory. It may be called again for a result that it has, after a crash,
// and then gives the same answer.
type memorySink struct {
	mu    sync.Mutex
	files map[string]string
}

func (s *memorySink) Collect(_ context.Context, r scheduler.Result) (scheduler.Collected, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var c scheduler.Collected
	for i, owed := range r.Job.Owed {
		if i >= len(r.Outputs) { // a job may say that it is done and still owe something
			c.Missing = append(c.Missing, scheduler.MissingRender{Render: owed.Render, Kind: scheduler.Lost, Reason: "it did not come"})
			continue
		}
		s.files[r.Outputs[i].Filename] = r.Outputs[i].Base64
		c.Done = append(c.Done, scheduler.DoneRender{Render: owed.Render, Files: []scheduler.FileRecord{{Path: r.Outputs[i].Filename}}})
	}
	return c, nil
}

// The scheduler alone, with work, endpoint, store and sink that a program brings, as a loop over what happens.
func ExampleStream() {
	price := 0.00031
	end := newEnd("rtx4090", 1)
	end.props.Price, end.work, end.lag = &price, time.Millisecond, 0
	sink := &memorySink{files: map[string]string{}}
	var work scheduler.Work = &fakeWork{n: 3} // *compiler.Plan is one

	var last scheduler.Event
	for event, err := range scheduler.Stream(context.Background(), work, []scheduler.Endpoint{end}, &store.Memory{}, sink, scheduler.Options{Fuse: 1}) {
		if err != nil {
			fmt.Println(err)
		}
		last = event
	}
	fmt.Println(last.Summary.Counts[scheduler.Done], "done,", len(sink.files), "files")
	// Output:
	// 3 done, 3 files
}
