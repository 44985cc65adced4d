package lease

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/comfyc/comfyc/scheduler"
)

// What slices learn of an endpoint is there for those after them, and for whoever keeps it when the machine stops.
func TestSpeedsOutliveASlice(t *testing.T) {
	q, _ := newQueue(t)
	p := newPlatform(50 * time.Millisecond)
	id := submit(t, q, fakeBatch(12, 2))
	w := &Worker{Queue: q, Host: at{p, "m"}, Slots: 1, Speeds: &scheduler.Speeds{}}
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- w.Run(running) }()
	await(t, q, id, "ended", ended)
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	file := filepath.Join(t.TempDir(), "speeds.json")
	if err := w.Speeds.Save(file); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var kept struct{ Kinds []struct{ Jobs float64 } }
	// Both slices are of one kind on one endpoint: the second one added its six jobs to those of the first, which count a little less by then.
	if err := json.Unmarshal(text, &kept); err != nil || len(kept.Kinds) != 1 || kept.Kinds[0].Jobs <= 6.5 || kept.Kinds[0].Jobs > 12 {
		t.Errorf("%s, %v", text, err)
	}
}
