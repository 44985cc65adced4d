package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store/pgtest"
)

func connect(t testing.TB, url string) *Postgres {
	t.Helper()
	p, err := ConnectPostgres(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// oneSlice makes a batch of one slice, held with the epoch 1.
func oneSlice(t testing.TB, p *Postgres, id string, first int) *PostgresSlice {
	t.Helper()
	if _, err := p.Pool.Exec(ctx, `WITH b AS (INSERT INTO batches (id, name, plan, renders) VALUES ($1, 'whole', 'p', 100))
		INSERT INTO slices (batch, slice, first, past, state, epoch, owner) VALUES ($1, 0, $2, $3, 'held', 1, 'me')`, id, first, math.MaxInt32); err != nil {
		t.Fatal(err)
	}
	return p.Slice(Lease{Batch: id, Slice: 0, Epoch: 1, First: first, Past: math.MaxInt32})
}

func TestPostgres(t *testing.T) {
	p := connect(t, pgtest.New(t))
	for _, first := range []int{0, 1000} {
		t.Run(fmt.Sprint("from render ", first), func(t *testing.T) {
			s := oneSlice(t, p, fmt.Sprint("b", first), first)
			if first == 0 {
				conformance(t, s, func(scheduler.Store) scheduler.Store { return takeOver(t, s) })
				return
			}
			// A later slice has no renders without an index, so only the other steps hold.
			for _, step := range []func(*testing.T, scheduler.Store){conformMeta, conformAttempts, conformRecords, conformActive, conformTotals} {
				step(t, s)
			}
			whole := collect(t, p.Batch(s.Batch).Records(ctx))
			if len(whole) != 4 || whole[0].Render != 1003 || whole[3].Render != 1009 {
				t.Errorf("the whole batch: %+v", whole)
			}
		})
	}
}

// takeOver raises the epoch, as another machine would.
func takeOver(t *testing.T, s *PostgresSlice) *PostgresSlice {
	t.Helper()
	s.Epoch++
	if _, err := s.Postgres.Pool.Exec(ctx, "UPDATE slices SET epoch = $3 WHERE batch = $1 AND slice = $2", s.Batch, s.Slice, s.Epoch); err != nil {
		t.Fatal(err)
	}
	return s.Postgres.Slice(s.Lease)
}

// A lease that was taken over writes nothing, whatever it tries.
func TestFenced(t *testing.T) {
	p := connect(t, pgtest.New(t))
	old := oneSlice(t, p, "b", 0)
	a, rec := fullAttempt(1), fullRecord(1)
	apply(t, old, scheduler.Change{Attempt: &a}, scheduler.Change{Record: &rec})
	stale := *old
	now := takeOver(t, old)
	b, other := fullAttempt(2), fullRecord(2)
	changed := a
	changed.Remote = "another"
	for _, ch := range []scheduler.Change{{Attempt: &b}, {Attempt: &changed}, {Record: &other}, {Drop: &rec.ID}, {Move: &scheduler.RenderRef{Index: 7, ID: rec.ID}},
		{Meta: &scheduler.Meta{Name: "stale", Started: noon}}} {
		err := stale.Apply(ctx, []scheduler.Change{ch})
		var fenced *scheduler.FencedError
		if !errors.As(err, &fenced) {
			t.Errorf("%+v: %v", ch, err)
		}
	}
	if got := collect(t, now.Attempts(ctx)); len(got) != 1 || got[0].Remote != a.Remote {
		t.Errorf("attempts: %+v", got)
	}
	if got := collect(t, now.Records(ctx)); len(got) != 1 || got[0].Render != 1 {
		t.Errorf("records: %+v", got)
	}
	if m, err := now.Meta(ctx); err != nil || m.Name != "" || !m.Started.IsZero() {
		t.Errorf("%+v, %v", m, err)
	}
}

// What is left of a batch of changes to one row is what they come to in turn, on every store.
func TestFold(t *testing.T) {
	p := connect(t, pgtest.New(t))
	a, b := fullRecord(1), fullRecord(2)
	a.CostUSD, b.CostUSD = nil, nil // a pointer would be compared
	a2 := a
	a2.State = scheduler.Held
	lists := map[string][]scheduler.Change{
		"put, drop":       {{Record: &a}, {Drop: &a.ID}},
		"drop, put":       {{Drop: &a.ID}, {Record: &a}},
		"put, move":       {{Record: &a}, {Move: &scheduler.RenderRef{Index: 8, ID: a.ID}}},
		"move, put":       {{Move: &scheduler.RenderRef{Index: 8, ID: a.ID}}, {Record: &a}},
		"drop, move":      {{Record: &b}, {Drop: &a.ID}, {Move: &scheduler.RenderRef{Index: 8, ID: a.ID}}},
		"put, put":        {{Record: &a}, {Record: &a2}},
		"move, move":      {{Move: &scheduler.RenderRef{Index: 8, ID: a.ID}}, {Move: &scheduler.RenderRef{Index: 9, ID: a.ID}}},
		"put, drop, put":  {{Record: &a2}, {Drop: &a.ID}, {Record: &a}},
		"move, drop, put": {{Move: &scheduler.RenderRef{Index: 8, ID: a.ID}}, {Drop: &a.ID}, {Record: &b}},
	}
	for name, changes := range lists {
		for _, before := range []bool{false, true} {
			var all []string
			for _, s := range []scheduler.Store{oneSlice(t, p, fmt.Sprint(name, before), 0), &Memory{}, mustOpen(t, t.TempDir())} {
				if before {
					apply(t, s, scheduler.Change{Record: &a})
				}
				apply(t, s, changes...)
				all = append(all, fmt.Sprintf("%+v", collect(t, s.Records(ctx))))
			}
			if all[0] != all[1] || all[0] != all[2] {
				t.Errorf("%s (%v):\npostgres %s\nmemory   %s\nsqlite   %s", name, before, all[0], all[1], all[2])
			}
		}
	}
}

// Texts of remotes hold anything.
func TestHostileText(t *testing.T) {
	s := oneSlice(t, connect(t, pgtest.New(t)), "b", 0)
	a := fullAttempt(1)
	a.Reason, a.Worker = "nul \x00 and \xff\xfe", strings.Repeat("ä", 100_000)
	apply(t, s, scheduler.Change{Attempt: &a})
	if got := collect(t, s.Attempts(ctx)); got[0].Reason != "nul  and �" || got[0].Worker != a.Worker {
		t.Errorf("got %q", got[0].Reason)
	}
}

// TestPostgresRefused holds that what is no schema of ours is refused and left alone.
func TestPostgresRefused(t *testing.T) {
	for name, tc := range map[string]struct{ script, code string }{
		"another program's":     {"CREATE SCHEMA comfyc; CREATE TABLE comfyc.precious (mine TEXT)", "state_foreign"},
		"another one's version": {"CREATE SCHEMA comfyc; CREATE TABLE comfyc.version (major TEXT); INSERT INTO comfyc.version VALUES ('x')", "state_foreign"},
		"a newer one":           {"CREATE SCHEMA comfyc; CREATE TABLE comfyc.version (version INT); INSERT INTO comfyc.version VALUES (99)", "state_newer"},
		"torn":                  {"CREATE SCHEMA comfyc; CREATE TABLE comfyc.version (version INT)", "state_damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			url := pgtest.New(t)
			script(t, url, tc.script)
			_, err := ConnectPostgres(ctx, url)
			if code(err) != tc.code {
				t.Errorf("got %v, want %s", err, tc.code)
			}
			if n := tables(t, url); n != 1 {
				t.Errorf("there are %d tables now", n)
			}
		})
	}
}

// Each version that a database may have comes forward; machines that start together do it once.
func TestPostgresMigration(t *testing.T) {
	for version := range postgresMigrations {
		url := pgtest.New(t)
		text := "CREATE SCHEMA comfyc; SET search_path = comfyc; CREATE TABLE version (version INT); INSERT INTO version VALUES (" + fmt.Sprint(version) + ");"
		if version > 0 {
			script(t, url, text+strings.Join(postgresMigrations[:version], ""))
		}
		errs := make(chan error, 4)
		for range cap(errs) {
			go func() {
				p, err := ConnectPostgres(ctx, url)
				if err == nil {
					p.Close()
				}
				errs <- err
			}()
		}
		for range cap(errs) {
			if err := <-errs; err != nil {
				t.Errorf("from version %d: %v", version, err)
			}
		}
		s := oneSlice(t, connect(t, url), "b", 0)
		rec := fullRecord(1)
		apply(t, s, scheduler.Change{Record: &rec})
	}
}

func TestConnectErrors(t *testing.T) {
	short, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, url := range []string{"postgres://user:hunter2@127.0.0.1:1/db", "://hunter2"} {
		if _, err := ConnectPostgres(short, url); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
}

func script(t *testing.T, url, text string) {
	t.Helper()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if _, err := c.Exec(ctx, text); err != nil {
		t.Fatal(err)
	}
}

func tables(t *testing.T, url string) (n int) {
	t.Helper()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if err := c.QueryRow(ctx, "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'comfyc'").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// What a server says decides whether Apply tries again; a proxy that gives no SQLSTATE, or half of one, is an error like another.
func TestUnreachable(t *testing.T) {
	for code, want := range map[string]bool{"": false, "4": false, "40": true, "08006": true, "57P01": true, "53300": true, "40P01": true, "23505": false} {
		if got := Unreachable(fmt.Errorf("x: %w", &pgconn.PgError{Code: code, Message: "no"})); got != want {
			t.Errorf("%q: %v", code, got)
		}
	}
}
