package lease

import (
	"encoding/binary"
	"maps"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/comfyc/comfyc/scheduler/store/pgtest"
)

// sent copies how often each render was submitted.
func (p *platform) sent() map[int]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.submits)
}

// idle waits until no job is on the platform, or for a while: then the machines have stopped asking.
func (p *platform) idle() {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		p.mu.Lock()
		n := p.inFlight
		p.mu.Unlock()
		if n == 0 {
			return
		}
	}
}

// The database crashes amid a batch, stays away until every job has ended remotely, and comes back. Meanwhile nothing is submitted whose intent it
// does not have. Then the machines go on by themselves: with the slices that they have, and with those that are still to be taken.
func TestDatabaseRestarts(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED in short mode: it makes a database server of its own")
	}
	const n = 90
	db := pgtest.NewCluster(t)
	url := db.URL(t)
	q, p := openQueue(t, url), newPlatform(200*time.Millisecond)
	p.limit, p.atMost = 10, 10
	id := submit(t, q, fakeBatch(n, 6))
	for range 2 {
		machine(t, url, p, 2)
	}
	await(t, q, id, "under way", func(s Status) bool { return s.Totals.Done == 10 }) // and it stays so: no more jobs end
	db.Kill(t)
	gone, before := time.Now(), p.sent()
	p.mu.Lock()
	p.atMost = 0
	p.mu.Unlock()
	p.idle()
	after := p.sent()
	db.Start(t)
	intents := intentsBefore(t, q, gone)
	for i := range after {
		if before[i] == 0 && !intents[i] {
			t.Errorf("render %d was submitted without the database, and it knows nothing of that", i)
		}
	}
	s := awaitBack(t, q, id)
	taken := false // from its owner, which a machine that stands still for 30 s may meet
	for _, slice := range s.Slices {
		taken = taken || slice.Epoch != 2 // one for the claim, one for the end
	}
	if s.Totals.Done+s.Totals.Held != n || s.Totals.Held > 0 && !taken {
		t.Errorf("%+v", s)
	}
	for i, times := range p.sent() {
		if times != 1 {
			t.Errorf("render %d was submitted %d times", i, times)
		}
	}
	if !taken {
		p.once(t, n)
	}
	t.Logf("away for %v with %d of %d submitted, %d of them after it went; taken over: %v", time.Since(gone), len(after), n, len(after)-len(before), taken)
}

// intentsBefore lists the renders of which the database has known an attempt since before a moment.
func intentsBefore(t *testing.T, q *Queue, at time.Time) map[int]bool {
	t.Helper()
	known := map[int]bool{}
	patiently(t, func() error {
		rows, err := q.db.Pool.Query(ctx, "SELECT renders FROM attempts WHERE created <= $1", at.UnixMicro())
		if err != nil {
			return err
		}
		var refs []byte // 8 bytes of index and 32 of id for each render
		_, err = pgx.ForEachRow(rows, []any{&refs}, func() error {
			known[int(binary.BigEndian.Uint64(refs))] = true
			return nil
		})
		return err
	})
	return known
}

// awaitBack waits for a batch's end over a database that may not answer yet.
func awaitBack(t *testing.T, q *Queue, id string) (s Status) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		patiently(t, func() (err error) {
			s, err = q.Status(ctx, id)
			return err
		})
		if ended(s) {
			return s
		}
	}
	t.Fatalf("not ended: %+v", s)
	return s
}

// patiently repeats what may fail while connections to a former server are found to be dead.
func patiently(t *testing.T, f func() error) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}
