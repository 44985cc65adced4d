//go:build unix

package lease

import (
	"bytes"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/comfyc/comfyc/scheduler/store/pgtest"
)

// A machine that is stopped for a while and woken finds that its slices were taken over: it writes nothing, submits nothing, and takes other work.
func TestFrozenMachine(t *testing.T) {
	if testing.Short() {
		t.Skip("stops and wakes real processes; run without -short")
	}
	c := newCampaign(t, command(t), 2, 1)
	url := pgtest.New(t)
	q := openQueue(t, url)
	dir, shared := c.newBatch(), t.TempDir()
	id := c.submit(url, dir)
	frozen := c.machine(url, dir, shared, "frozen")
	defer frozen.kill()
	await(t, q, id, "some done", func(s Status) bool { return s.Totals.Done >= 5 })
	if err := frozen.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	had := c.had(q, id, "frozen")
	// A row that the machine has locked is free once the server has ended its session: 10 s after it was stopped amid a transaction.
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		c.elapse(q, "frozen")
		if _, err := q.sweep(ctx); err != nil {
			t.Fatal(err)
		}
		if s, err := q.Status(ctx, id); err != nil {
			t.Fatal(err)
		} else if !slices.ContainsFunc(s.Slices, func(v SliceStatus) bool { return v.Owner == "frozen" }) {
			break
		}
		if time.Now().After(end) {
			t.Fatal("its slices are not taken over")
		}
	}
	c.died(q.Store(id), had) // nothing of it is written any more, and nobody else has begun
	c.kills++
	other := c.machine(url, dir, shared, "other")
	defer other.kill()
	await(t, q, id, "gone on with", func(s Status) bool {
		return ended(s) || slices.ContainsFunc(s.Slices, func(v SliceStatus) bool { return v.Owner == "other" })
	})
	if err := frozen.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	c.finish(q, id)
	c.records(q.Store(id), shared+"/"+id)
	c.batches++
	c.check(0)
	_ = frozen.cmd.Process.Signal(syscall.SIGTERM) // so that its log is whole
	_ = frozen.cmd.Wait()
	if !bytes.Contains(frozen.log.Bytes(), []byte("taken over")) {
		t.Errorf("the woken machine does not say that it was taken over:\n%s", strings.TrimSpace(frozen.log.String()))
	}
}
