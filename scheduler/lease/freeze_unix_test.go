//go:build unix

package lease

import (
	"bytes"
	"math/rand/v2"
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
	c := &campaign{t: t, binary: command(t), unsure: map[string]bool{}, rng: rand.New(rand.NewPCG(1, 1))}
	c.base = c.emulate()
	url := pgtest.New(t)
	q := openQueue(t, url)
	dir, shared := c.newBatch(), t.TempDir()
	id := c.submit(url, dir)
	frozen := c.machine(url, dir, shared, "frozen")
	defer frozen.kill()
	held := await(t, q, id, "some done", func(s Status) bool { return s.Totals.Done >= 5 })
	if err := frozen.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	c.gather(q.Store(id), true)
	time.Sleep(12 * time.Second) // longer than a session may hold its locks amid a transaction
	c.elapse(q, "frozen")
	other := c.machine(url, dir, shared, "other")
	defer other.kill()
	await(t, q, id, "taken over", func(s Status) bool {
		for i, slice := range s.Slices {
			if held.Slices[i].Owner == "frozen" && slice.State != "ended" && slice.Owner == "frozen" {
				return false
			}
		}
		return true
	})
	if err := frozen.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s := await(t, q, id, "ended", ended)
	c.gather(q.Store(id), false)
	if s.Totals.Done < s.Renders {
		if err := q.Retry(ctx, id, true, true); err != nil {
			t.Fatal(err)
		}
		await(t, q, id, "ended", ended)
	}
	c.records(q.Store(id), shared+"/"+id)
	c.batches++
	c.check(0)
	_ = frozen.cmd.Process.Signal(syscall.SIGTERM) // so that its log is whole
	_ = frozen.cmd.Wait()
	if !bytes.Contains(frozen.log.Bytes(), []byte("taken over")) {
		t.Errorf("the woken machine does not say that it was taken over:\n%s", strings.TrimSpace(frozen.log.String()))
	}
}
