package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
)

var ctx = context.Background()

func id(name string) compiler.RenderID { return sha256.Sum256([]byte(name)) }

func usd(v float64) *float64 { return &v }

var noon = time.Date(2026, 9, 1, 12, 0, 0, 123456000, time.UTC)

// fullAttempt has a value in every field, so that none can be forgotten.
func fullAttempt(n int64) scheduler.Attempt {
	return scheduler.Attempt{Number: n, Renders: []scheduler.RenderRef{{Index: int(n), ID: id(fmt.Sprint(n))}}, Try: 2, State: scheduler.AttemptRunning,
		Endpoint: "novita-4090", GPU: "rtx4090", Preview: true, Remote: "sync-1-e1", Token: "secret", Worker: "w", Kind: scheduler.Busy, Reason: "full",
		Created: noon, Submitted: noon.Add(1), Finished: noon.Add(time.Second), Expires: noon.Add(time.Hour), Seconds: 14.56, ReservedUSD: usd(0.01), CostUSD: usd(0.0045)}
}

func fullRecord(i int) scheduler.Record {
	return scheduler.Record{Render: i, ID: id(fmt.Sprint(i)), State: scheduler.Done, Reason: "r", Kind: scheduler.OutOfMemory, Endpoint: "e", GPU: "g", Remote: "id", Worker: "w",
		Attempts: 3, Submitted: noon, Finished: noon.Add(time.Minute), Seconds: 1.5, CostUSD: usd(0.25),
		Files: []scheduler.FileRecord{{Path: "images/ä.png", Node: "9", Title: "Save \"it\"", Type: "image/png", SHA256: "ab", Bytes: 1 << 40, Width: 1, Height: 2,
			Thumb: "t", Preview: true, Original: "o", Metadata: []string{"prompt"}, Text: "x", Note: "n"}}}
}

func collect[T any](t *testing.T, seq iter.Seq2[T, error]) (list []T) {
	t.Helper()
	for v, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, v)
	}
	return list
}

func apply(t *testing.T, s scheduler.Store, changes ...scheduler.Change) {
	t.Helper()
	if err := s.Apply(ctx, changes); err != nil {
		t.Fatal(err)
	}
}

// conformance is what every store must do. reopen closes the store and opens it again.
func conformance(t *testing.T, s scheduler.Store, reopen func(scheduler.Store) scheduler.Store) {
	if m, err := s.Meta(ctx); err != nil || m != (scheduler.Meta{}) {
		t.Fatalf("a new store: %+v, %v", m, err)
	}
	for range s.Records(ctx) {
		t.Fatal("a new store has records")
	}
	if err := s.Apply(ctx, nil); err != nil {
		t.Fatal(err)
	}
	rec := fullRecord(1)
	if err := s.Apply(ctx, []scheduler.Change{{Record: &rec}, {}}); err == nil {
		t.Fatal("an empty change was taken")
	}
	for range s.Records(ctx) {
		t.Fatal("a refused list was taken in part")
	}
	for _, step := range []struct {
		name string
		do   func(*testing.T, scheduler.Store)
	}{
		{"meta", conformMeta}, {"attempts", conformAttempts}, {"records", conformRecords}, {"active", conformActive}, {"totals", conformTotals}, {"order", conformOrder},
	} {
		t.Run(step.name, func(t *testing.T) { step.do(t, s) })
		s = reopen(s)
	}
	// All that the steps left is still there.
	if n := len(collect(t, s.Attempts(ctx))); n != 3 {
		t.Errorf("%d attempts after reopening", n)
	}
	if n := len(collect(t, s.Records(ctx))); n != 5 {
		t.Errorf("%d records after reopening", n)
	}
}

func conformMeta(t *testing.T, s scheduler.Store) {
	want := scheduler.Meta{Name: "fox", Plan: "abc", Renders: 7, Started: noon}
	apply(t, s, scheduler.Change{Meta: &scheduler.Meta{Name: "old"}}, scheduler.Change{Meta: &want})
	got, err := s.Meta(ctx)
	if time.Since(got.Updated).Abs() > time.Minute {
		t.Errorf("updated at %v", got.Updated)
	}
	got.Updated = time.Time{}
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
}

func conformAttempts(t *testing.T, s scheduler.Store) {
	a, b, c := fullAttempt(3), fullAttempt(1), fullAttempt(2)
	a.Submitted = noon // microseconds are kept
	b.Submitted, c.Submitted = noon, noon
	b.Renders = append(b.Renders, scheduler.RenderRef{Index: -1, ID: id("gone")}) // of an earlier plan
	b.State, b.CostUSD, b.ReservedUSD, b.Expires = scheduler.AttemptFailed, nil, nil, time.Time{}
	c.State = scheduler.AttemptCollected
	early := a
	early.State, early.Remote = scheduler.AttemptSubmitting, ""
	apply(t, s, scheduler.Change{Attempt: &early}, scheduler.Change{Attempt: &b}, scheduler.Change{Attempt: &c}, scheduler.Change{Attempt: &a})
	if got := collect(t, s.Attempts(ctx)); !reflect.DeepEqual(got, []scheduler.Attempt{b, a}) {
		t.Errorf("got  %+v\nwant %+v", got, []scheduler.Attempt{b, a})
	}
}

func conformRecords(t *testing.T, s scheduler.Store) {
	a, b, c := fullRecord(5), fullRecord(4), fullRecord(6)
	b.State, b.Files, b.CostUSD, b.Submitted = scheduler.RenderFailed, nil, nil, time.Time{}
	old := a
	old.State = scheduler.Held
	apply(t, s, scheduler.Change{Record: &old}, scheduler.Change{Record: &a}, scheduler.Change{Record: &b}, scheduler.Change{Record: &c},
		scheduler.Change{Drop: &c.ID}, scheduler.Change{Move: &scheduler.RenderRef{Index: 9, ID: b.ID}}, scheduler.Change{Move: &scheduler.RenderRef{Index: 1, ID: id("unknown")}})
	b.Render = 9
	got := slices.DeleteFunc(collect(t, s.Records(ctx)), func(r scheduler.Record) bool { return r.State == scheduler.Active })
	if !reflect.DeepEqual(got, []scheduler.Record{a, b}) {
		t.Errorf("got  %+v\nwant %+v", got, []scheduler.Record{a, b})
	}
}

// An open attempt makes its renders Active; a record of a render that has ended outweighs it.
func conformActive(t *testing.T, s scheduler.Store) {
	a := fullAttempt(10)
	a.State = scheduler.AttemptSubmitting
	a.Renders = []scheduler.RenderRef{{Index: 7, ID: id("7")}, {Index: 5, ID: id("5")}}
	hedge := a
	hedge.Number, hedge.CostUSD, hedge.Remote = 11, nil, "hedge"
	apply(t, s, scheduler.Change{Attempt: &a}, scheduler.Change{Attempt: &hedge})
	var got []string
	for _, r := range collect(t, s.Records(ctx)) {
		got = append(got, fmt.Sprint(r.Render, r.State))
		if r.Remote == "hedge" {
			t.Error("a hedge is told of, and not the attempt that it stands beside")
		}
	}
	hedge.State = scheduler.AttemptCollected
	apply(t, s, scheduler.Change{Attempt: &hedge})
	if want := []string{"3 active", "5 done", "7 active", "9 failed"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func conformTotals(t *testing.T, s scheduler.Store) {
	m, err := s.Meta(ctx)
	if err != nil || m.Last != 11 || m.SpentUSD < 0.01349 || m.SpentUSD > 0.01351 {
		t.Errorf("%+v, %v", m, err)
	}
}

// A renamed plan leaves records with the index -1; they come first.
func conformOrder(t *testing.T, s scheduler.Store) {
	gone := fullRecord(8)
	apply(t, s, scheduler.Change{Record: &gone}, scheduler.Change{Move: &scheduler.RenderRef{Index: -1, ID: gone.ID}})
	got := collect(t, s.Records(ctx))
	if !slices.IsSortedFunc(got, func(a, b scheduler.Record) int { return a.Render - b.Render }) || got[0].Render != -1 {
		t.Errorf("not by index: %+v", got)
	}
	// Renders that are no more in the plan and still run beside it: each by itself, whatever has ended.
	for _, name := range []string{"a", "8", "b", "c"} {
		a := fullAttempt(12)
		a.Renders = []scheduler.RenderRef{{Index: -1, ID: id(name)}}
		apply(t, s, scheduler.Change{Attempt: &a})
		active := 0
		for _, r := range collect(t, s.Records(ctx)) {
			if r.Render == -1 && r.State == scheduler.Active && r.ID == id(name) {
				active++
			}
		}
		if want := map[bool]int{true: 0, false: 1}[name == "8"]; active != want {
			t.Errorf("%s: %d records are active, want %d", name, active, want)
		}
		a.State = scheduler.AttemptCollected
		apply(t, s, scheduler.Change{Attempt: &a})
	}
	for range s.Records(ctx) { // a reader may stop
		break
	}
	if err := s.Apply(ctx, []scheduler.Change{{Meta: &scheduler.Meta{}}}); err != nil {
		t.Error(err)
	}
}

func TestMemory(t *testing.T) {
	conformance(t, &Memory{}, func(s scheduler.Store) scheduler.Store { return s })
}

func TestSQLite(t *testing.T) {
	dir := t.TempDir() + "/with ?#% signs"
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var last scheduler.Store = s
	conformance(t, s, func(s scheduler.Store) scheduler.Store {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		last = again
		return again
	})
	if err := errors.Join(last.Close(), last.Close()); err != nil {
		t.Error(err)
	}
}
