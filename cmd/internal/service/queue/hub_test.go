package queue

import (
	"context"
	"testing"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
)

// What was added before the end is durable and told, however the end falls: the last event of a work is how it ended.
func TestHubTellsTheLastEvent(t *testing.T) {
	ctx := t.Context()
	l, err := ledger.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 30 {
		id := NewID(time.Now())
		if _, _, err := l.AddWork(ctx, &ledger.Order{Work: ledger.Work{ID: id, Kind: ledger.Batch, State: ledger.Waiting, Created: time.Now()}}); err != nil {
			t.Fatal(err)
		}
		w, ok, err := l.Take(ctx, id, "here", time.Now(), Silence, 0)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		h := newHub(0)
		h.add(time.Now(), "state", stateEvent{State: ledger.Done})
		ended, end := context.WithCancel(ctx)
		end()
		h.store(ended, l, w)
		events, _, _, complete, over, _ := h.after(0, 0)
		if len(events) != 1 || !complete || !over {
			t.Fatalf("%v, complete %v, ended %v", events, complete, over)
		}
	}
}
