package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store/pgtest"
)

// onPostgres makes open give a ledger in a Postgres database of its own; TestOnPostgres sets it.
var onPostgres bool

// open gives a new ledger.
func open(t testing.TB) *Ledger {
	t.Helper()
	var l *Ledger
	var err error
	if onPostgres {
		l, err = OpenPostgres(pgtest.New(t))
	} else {
		l, err = Open(t.TempDir())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

var now = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

func order(id string) *Order {
	return &Order{Work: Work{ID: id, Kind: Batch, State: Waiting, Created: now, Renders: 3}, Request: []byte("body")}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestWorkKeepsItsFields(t *testing.T) {
	l, ctx := open(t), t.Context()
	o := order("a")
	o.Owner, o.Pool, o.Name, o.Priority, o.Sealed = "k", "p", "n", 2, []byte{0, 1}
	if _, fresh, err := l.AddWork(ctx, o); err != nil || !fresh {
		t.Fatal(fresh, err)
	}
	if got := must[Work](t)(l.Work(ctx, "a")); got != o.Work {
		t.Errorf("got %+v, want %+v", got, o.Work)
	}
	request, sealed, err := l.Request(ctx, "a")
	if string(request) != "body" || string(sealed) != "\x00\x01" || err != nil {
		t.Errorf("request %q, sealed %q, %v", request, sealed, err)
	}
	if _, err := l.Work(ctx, "b"); !errors.Is(err, ErrNone) {
		t.Errorf("an unknown work: %v", err)
	}
}

func TestIdempotency(t *testing.T) {
	l, ctx := open(t), t.Context()
	first := order("a")
	first.Idem, first.IdemHash = "key", []byte("h1")
	l.AddWork(ctx, first)
	again := order("b")
	again.Idem, again.IdemHash = "key", []byte("h1")
	if w, fresh, err := l.AddWork(ctx, again); err != nil || fresh || w.ID != "a" {
		t.Errorf("same body: %v %v %v", w.ID, fresh, err)
	}
	again.IdemHash = []byte("h2")
	if _, _, err := l.AddWork(ctx, again); !errors.Is(err, ErrConflict) {
		t.Errorf("other body: %v", err)
	}
	again.Owner = "somebody else"
	if w, fresh, err := l.AddWork(ctx, again); err != nil || !fresh || w.ID != "b" {
		t.Errorf("other owner: %v %v %v", w.ID, fresh, err)
	}
}

// A function that fails takes none of its group down.
func TestOneFailureInAGroup(t *testing.T) {
	l, ctx := open(t), t.Context()
	wrong := errors.New("wrong")
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			err := l.Write(ctx, func(tx *Tx) error {
				if err := tx.Exec("INSERT INTO settings (name, value) VALUES (?, ?)", fmt.Sprint(i), []byte{}); err != nil {
					return err
				}
				if i%10 == 3 {
					return wrong
				}
				return nil
			})
			if (i%10 == 3) != errors.Is(err, wrong) {
				t.Errorf("write %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	var n int
	if err := l.read.QueryRow("SELECT COUNT(*) FROM settings").Scan(&n); err != nil || n != 180 {
		t.Errorf("%d rows (%v), want 180", n, err)
	}
}

func TestOnlyTheHolderWrites(t *testing.T) {
	l, ctx := open(t), t.Context()
	l.AddWork(ctx, order("a"))
	real := time.Now() // what Postgres has
	take := func(holder string) (Work, bool) {
		t.Helper()
		w, ok, err := l.Take(ctx, "a", holder, real, 30*time.Second, 0)
		if err != nil {
			t.Fatal(err)
		}
		return w, ok
	}
	silence := func() {
		t.Helper()
		if err := l.Write(ctx, func(tx *Tx) error { return tx.Exec("UPDATE works SET beat = beat - 31000000") }); err != nil {
			t.Fatal(err)
		}
	}
	held, ok := take("one")
	if !ok {
		t.Fatal("a work that nobody has was not taken")
	}
	if _, ok := take("two"); ok {
		t.Error("a work whose holder is alive was taken")
	}
	if l.postgres { // a replica whose clock is wrong takes nothing from others, and does not seem dead
		l.Beat(ctx, "one", real.Add(-time.Hour))
		if _, ok, _ := l.Take(ctx, "a", "two", real.Add(time.Hour), 30*time.Second, 0); ok {
			t.Error("a work was taken by the clock of a replica")
		}
	}
	silence()
	l.Beat(ctx, "one", real)
	if _, ok := take("two"); ok {
		t.Error("a work whose holder has just shown itself was taken")
	}
	if open := must[[]Work](t)(l.Open(ctx, real, 30*time.Second, 10)); len(open) != 0 {
		t.Errorf("%d works are there for the taking", len(open))
	}
	silence()
	if open := must[[]Work](t)(l.Open(ctx, real, 30*time.Second, 10)); len(open) != 1 {
		t.Errorf("%d works are there for the taking", len(open))
	}
	if _, ok := take("two"); !ok {
		t.Error("a work whose holder is silent was not taken")
	}
	if mine := must[[]Work](t)(l.Held(ctx, "one")); len(mine) != 0 {
		t.Errorf("the old holder has %d works", len(mine))
	}
	w := must[Work](t)(l.Work(ctx, "a"))
	if err := l.SaveWork(ctx, held); !errors.Is(err, ErrFenced) {
		t.Errorf("the old holder wrote: %v", err)
	}
	w.State = Done
	if err := l.SaveWork(ctx, w); err != nil {
		t.Error(err)
	}
}

// What a key may run at one time, and spend, holds for all replicas together.
func TestBoundsOfAnOwner(t *testing.T) {
	l, ctx := open(t), t.Context()
	for _, id := range []string{"a", "b", "c"} {
		o := order(id)
		o.Owner = "k"
		if _, _, err := l.AddWork(ctx, o); err != nil {
			t.Fatal(err)
		}
	}
	real := time.Now()
	var works []Work
	for i, id := range []string{"a", "b", "c"} {
		w, ok, err := l.Take(ctx, id, "replica "+id, real, 30*time.Second, 2)
		if err != nil || ok != (i < 2) {
			t.Errorf("work %s: taken %t, %v", id, ok, err)
		}
		works = append(works, w)
	}
	loads := must[[]Load](t)(l.Loads(ctx, "replica a"))
	if want := []Load{{"k", true, Running, 1, 2}, {"k", true, Waiting, 0, 1}}; !slices.Equal(loads, want) {
		t.Errorf("loads %v, want %v", loads, want)
	}
	reserve := func(w Work, most float64) float64 {
		t.Helper()
		return must[float64](t)(l.Reserve(ctx, w, 10, most, now))
	}
	if a, b := reserve(works[0], 6), reserve(works[1], 6); a != 6 || b != 4 {
		t.Errorf("reserved %v and %v of 10", a, b)
	}
	if a := reserve(works[0], 6); a != 6 {
		t.Errorf("reserved %v the second time", a)
	}
	works[1].State, works[1].Spent = Done, 1
	if err := l.SaveWork(ctx, works[1]); err != nil {
		t.Fatal(err)
	}
	c, ok, err := l.Take(ctx, "c", "replica c", real, 30*time.Second, 2)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	if usd := reserve(c, 6); usd != 3 {
		t.Errorf("of 10 with 1 spent and 6 reserved there were %v left", usd)
	}
	c.Epoch--
	if _, err := l.Reserve(ctx, c, 10, 1, now); !errors.Is(err, ErrFenced) {
		t.Errorf("an old holder reserved: %v", err)
	}
}

func TestJobStateSurvives(t *testing.T) {
	dir := t.TempDir()
	ctx := t.Context()
	l := must[*Ledger](t)(Open(dir))
	s := must[*JobState](t)(l.JobState(ctx, Work{ID: "a"}))
	id := compiler.RenderID{7}
	usd := 0.25
	changes := []scheduler.Change{
		{Meta: &scheduler.Meta{Name: "n", Renders: 1, Started: now}},
		{Attempt: &scheduler.Attempt{Number: 1, State: scheduler.AttemptSubmitted, Remote: "r", Renders: []scheduler.RenderRef{{ID: id}}, CostUSD: &usd, Kind: scheduler.Busy, Created: now}},
		{Attempt: &scheduler.Attempt{Number: 2, State: scheduler.AttemptCollected}},
		{Record: &scheduler.Record{Render: 1, ID: compiler.RenderID{9}, State: scheduler.Done, Files: []scheduler.FileRecord{{Path: "images/x.png"}}}},
		{Record: &scheduler.Record{Render: 2, ID: compiler.RenderID{8}}},
	}
	if err := s.Apply(ctx, changes); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(ctx, []scheduler.Change{{Drop: &compiler.RenderID{8}}}); err != nil {
		t.Fatal(err)
	}
	l.Close()
	l = must[*Ledger](t)(Open(dir))
	defer l.Close()
	s = must[*JobState](t)(l.JobState(ctx, Work{ID: "a"}))
	meta := must[scheduler.Meta](t)(s.Meta(ctx))
	if meta.Name != "n" || !meta.Started.Equal(now) || meta.Last != 2 || meta.SpentUSD != usd {
		t.Errorf("meta %+v", meta)
	}
	n := 0
	for a, err := range s.Attempts(ctx) {
		if n++; err != nil || a.Remote != "r" || a.Kind != scheduler.Busy || a.Renders[0].ID != id || *a.CostUSD != usd {
			t.Errorf("attempt %+v, %v", a, err)
		}
	}
	if n != 1 {
		t.Errorf("%d attempts, want 1", n)
	}
	var states []scheduler.RenderState
	for r, err := range s.Records(ctx) {
		if err != nil {
			t.Error(err)
		}
		states = append(states, r.State)
	}
	if fmt.Sprint(states) != "[active done]" && fmt.Sprint(states) != "[done active]" {
		t.Errorf("records %v", states)
	}
}

func TestEventsGoOnAfterANumber(t *testing.T) {
	l, ctx := open(t), t.Context()
	l.AddWork(ctx, order("a"))
	for i := int64(1); i <= 5; i++ {
		if err := l.AddEvents(ctx, "a", 0, []Event{{Seq: i, Time: now, Kind: "render", Data: fmt.Sprint(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	got := must[[]Event](t)(l.Events(ctx, "a", 3, 10))
	if len(got) != 2 || got[0].Data != "4" || got[1].Seq != 5 {
		t.Errorf("events %v", got)
	}
	if last := must[int64](t)(l.LastEvent(ctx, "a")); last != 5 {
		t.Errorf("last event %d", last)
	}
}

func TestDeliveriesAreTakenOnce(t *testing.T) {
	l, ctx := open(t), t.Context()
	l.AddDelivery(ctx, Delivery{ID: "m", State: "due", Due: now, Body: "{}"})
	if got := must[[]Delivery](t)(l.TakeDeliveries(ctx, now, now.Add(time.Minute), 10)); len(got) != 1 {
		t.Fatalf("took %v", got)
	}
	if got := must[[]Delivery](t)(l.TakeDeliveries(ctx, now, now.Add(time.Minute), 10)); len(got) != 0 {
		t.Errorf("took %v again", got)
	}
}

func TestNewerTablesAreRefused(t *testing.T) {
	dir := t.TempDir()
	l := must[*Ledger](t)(Open(dir))
	l.Write(context.Background(), func(tx *Tx) error { return tx.Exec("UPDATE version SET version = 99") })
	l.Close()
	if _, err := Open(dir); err == nil {
		t.Error("tables of a newer version were opened")
	}
	if _, err := os.Stat(dir + "/" + File); err != nil {
		t.Error(err)
	}
}

// The statements are the same for both databases, and mean the same.
func TestOnPostgres(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: Postgres is not started")
	}
	onPostgres = true
	defer func() { onPostgres = false }()
	for name, test := range map[string]func(*testing.T){"work": TestWorkKeepsItsFields, "idempotency": TestIdempotency, "group": TestOneFailureInAGroup, "holder": TestOnlyTheHolderWrites, "bounds": TestBoundsOfAnOwner,
		"events": TestEventsGoOnAfterANumber, "deliveries": TestDeliveriesAreTakenOnce, "sums": TestSums} {
		t.Run(name, test)
	}
}

func TestSums(t *testing.T) {
	l, ctx := open(t), t.Context()
	for i, id := range []string{"a", "b", "c"} {
		o := order(id)
		o.Owner, o.Bytes = "k", int64(10*i)
		if _, _, err := l.AddWork(ctx, o); err != nil {
			t.Fatal(err)
		}
	}
	w := must[Work](t)(l.Work(ctx, "a"))
	w.State, w.Spent, w.Bytes, w.Error = Done, 0.5, 7, "a text with \x00 in it"
	if err := l.SaveWork(ctx, w); err != nil {
		t.Fatal(err)
	}
	spent, bytes, err := l.Usage(ctx, "k", now)
	if spent != 0.5 || bytes != 37 || err != nil {
		t.Errorf("usage %v USD, %d bytes, %v", spent, bytes, err)
	}
	counts := must[[]Count](t)(l.Counts(ctx, now))
	if len(counts) != 2 || counts[0].Works+counts[1].Works != 3 {
		t.Errorf("counts %+v", counts)
	}
	if n, err := l.Setting(ctx, "x", func() []byte { return []byte("1") }); string(n) != "1" || err != nil {
		t.Error(n, err)
	}
	if n, err := l.Setting(ctx, "x", func() []byte { return []byte("2") }); string(n) != "1" || err != nil {
		t.Error("a setting changed", n, err)
	}
	if ok, err := l.Reopen(ctx, "a", WishResubmit); !ok || err != nil {
		t.Error(ok, err)
	}
	if ok, err := l.End(ctx, "a", Cancelled, now, now); !ok || err != nil {
		t.Error(ok, err)
	}
	if gone := must[[]Work](t)(l.Expired(ctx, now.Add(time.Second), 10)); len(gone) != 1 {
		t.Errorf("expired %v", gone)
	}
	if _, err := l.Forget(ctx, "a"); err != nil {
		t.Error(err)
	}
}

// BenchmarkAddWork measures durable submits, many at once.
func BenchmarkAddWork(b *testing.B) {
	l := open(b)
	var mu sync.Mutex
	n := 0
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			mu.Lock()
			n++
			id := fmt.Sprintf("%012d", n)
			mu.Unlock()
			if _, _, err := l.AddWork(context.Background(), order(id)); err != nil {
				b.Error(err)
			}
		}
	})
}

// A name that several keys have ends none of them; an id is never taken for a name.
func TestRevokeNamesOneKey(t *testing.T) {
	l, ctx, now := open(t), t.Context(), time.Now()
	for _, k := range []Key{{ID: "k1", Name: "ci"}, {ID: "k2", Name: "ci"}, {ID: "k3", Name: "k1"}, {ID: "k4", Name: "boss"}} {
		k.Hash, k.Limits, k.Created = []byte("hash"), "{}", now
		if err := l.AddKey(ctx, k); err != nil {
			t.Fatal(err)
		}
	}
	good := func() (ids string) {
		for _, k := range must[[]Key](t)(l.Keys(ctx)) {
			if k.Revoked.IsZero() {
				ids += k.ID
			}
		}
		return ids
	}
	var many *ManyKeysError
	if _, err := l.RevokeKey(ctx, "ci", now); !errors.As(err, &many) || len(many.Keys) != 2 || good() != "k1k2k3k4" {
		t.Errorf("a name of two: %v; good are %s", err, good())
	}
	for _, x := range []struct{ name, id, left string }{{"k1", "k1", "k2k3k4"}, {"ci", "k2", "k3k4"}, {"k1", "k3", "k4"}, {"boss", "k4", ""}} {
		if k, err := l.RevokeKey(ctx, x.name, now); err != nil || k.ID != x.id || good() != x.left {
			t.Errorf("%s: %v %v; good are %s, want %s", x.name, k.ID, err, good(), x.left)
		}
	}
	if _, err := l.RevokeKey(ctx, "ci", now); !errors.Is(err, ErrNone) {
		t.Errorf("nobody has it: %v", err)
	}
}

// A work that is about to be deleted cannot be let run again, and one that runs cannot be deleted.
func TestDoomedWorksStayDead(t *testing.T) {
	l, ctx := open(t), t.Context()
	l.AddWork(ctx, order("a"))
	if ok, err := l.Doom(ctx, "a"); ok || err != nil {
		t.Errorf("a work that waits: %v %v", ok, err)
	}
	if _, err := l.End(ctx, "a", Cancelled, time.Now(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if ok, err := l.Doom(ctx, "a"); !ok || err != nil {
		t.Errorf("one that has ended: %v %v", ok, err)
	}
	if ok, err := l.Reopen(ctx, "a", ""); ok || err != nil {
		t.Errorf("a retry of one that is being deleted: %v %v", ok, err)
	}
	if list := must[[]Work](t)(l.Expired(ctx, time.Now(), 10)); len(list) != 1 {
		t.Errorf("a sweep finds %d", len(list))
	}
	for _, want := range []bool{true, false} {
		if there, err := l.Forget(ctx, "a"); there != want || err != nil {
			t.Errorf("forgotten: %v %v, want %v", there, err, want)
		}
	}
}
