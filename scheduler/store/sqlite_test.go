package store

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/comfyc/comfyc/scheduler"
)

func mustOpen(t *testing.T, dir string) *SQLite {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	_, err := Open(dir)
	var locked *LockedError
	host, _ := os.Hostname()
	if !errors.As(err, &locked) || locked.PID != os.Getpid() || locked.Host != host || locked.Since == "" {
		t.Fatalf("a second Open: %v", err)
	}
	if want := fmt.Sprintf("process %d on %s has used this run directory since", os.Getpid(), host); !strings.Contains(err.Error(), want) {
		t.Errorf("got %q", err)
	}
	apply(t, s, scheduler.Change{Meta: &scheduler.Meta{Name: "in use"}})
	r, err := OpenRead(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if m, err := r.Meta(ctx); err != nil || m.Name != "in use" {
		t.Errorf("reading a state in use: %+v, %v", m, err)
	}
	if err := r.Apply(ctx, nil); err == nil {
		t.Error("a reader could write")
	}
	s.Close()
	mustOpen(t, dir)
}

// TestMain also serves as the process that TestLockOfAKilledProcess kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("COMFYC_TEST_HOLD"); dir != "" {
		s, err := Open(dir)
		if err == nil {
			err = s.Apply(ctx, []scheduler.Change{{Meta: &scheduler.Meta{Name: "before the kill"}}})
		}
		fmt.Println("held", err)
		os.Stdin.Read(make([]byte, 1))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestLockOfAKilledProcess(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "COMFYC_TEST_HOLD="+dir)
	in, _ := cmd.StdinPipe()
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 64)
	n, _ := out.Read(said)
	var locked *LockedError
	if _, err := Open(dir); !errors.As(err, &locked) || locked.PID != cmd.Process.Pid {
		t.Errorf("while it runs (%s): %v", said[:n], err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	s := mustOpen(t, dir)
	if m, err := s.Meta(ctx); err != nil || m.Name != "before the kill" {
		t.Errorf("after the kill: %+v, %v", m, err)
	}
}

func code(err error) string {
	var f *FileError
	if errors.As(err, &f) {
		return f.Code
	}
	return fmt.Sprint(err)
}

// TestRefused holds that files which are no state of ours are refused and left as they are.
func TestRefused(t *testing.T) {
	foreign := func(t *testing.T, path string) {
		db, err := sql.Open("sqlite", path)
		if err == nil {
			_, err = db.Exec("CREATE TABLE renders (mine TEXT); INSERT INTO renders VALUES ('precious')")
		}
		if err != nil {
			t.Fatal(err)
		}
		db.Close()
	}
	ours := func(t *testing.T, path string) {
		s, err := Open(filepath.Dir(filepath.Dir(path)))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 500 {
			rec := fullRecord(i)
			apply(t, s, scheduler.Change{Record: &rec})
		}
		s.Close()
	}
	for _, tc := range []struct {
		name, code string
		make       func(t *testing.T, path string)
	}{
		{"text", "state_foreign", func(t *testing.T, path string) { os.WriteFile(path, []byte("hello\n"), 0o666) }},
		{"another program's database", "state_foreign", foreign},
		{"a newer version", "state_newer", func(t *testing.T, path string) {
			ours(t, path)
			patch(t, path, 60, []byte{0, 0, 1, 0})
		}},
		{"torn", "state_damaged", func(t *testing.T, path string) {
			ours(t, path)
			info, _ := os.Stat(path)
			os.Truncate(path, info.Size()/2)
		}},
		{"overwritten pages", "state_damaged", func(t *testing.T, path string) {
			ours(t, path)
			patch(t, path, 8192, bytes.Repeat([]byte("junk"), 8192))
		}},
		{"the log alone", "state_damaged", func(t *testing.T, path string) { os.WriteFile(path+"-wal", make([]byte, 4096), 0o666) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, Dir, "state.db")
			os.MkdirAll(filepath.Dir(path), 0o777)
			tc.make(t, path)
			before, _ := os.ReadFile(path)
			_, err := Open(dir)
			if code(err) != tc.code {
				t.Errorf("got %v, want %s", err, tc.code)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
			if _, err := os.Stat(filepath.Join(dir, Dir, "lock")); err != nil {
				t.Error(err)
			}
		})
	}
}

func patch(t *testing.T, path string, at int64, text []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt(text, at)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}

func TestNothingToRead(t *testing.T) {
	if _, err := OpenRead(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// TestMigration brings each older version forward. Version 0 is a file that died before its tables were made.
func TestMigration(t *testing.T) {
	for version := range migrations {
		dir := t.TempDir()
		path := filepath.Join(dir, Dir, "state.db")
		os.MkdirAll(filepath.Dir(path), 0o777)
		db, err := sql.Open("sqlite", path)
		if err == nil {
			_, err = db.Exec(strings.Join(migrations[:version], "") + fmt.Sprintf("; PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, version))
		}
		if err != nil {
			t.Fatal(err)
		}
		db.Close()
		s := mustOpen(t, dir)
		rec := fullRecord(1)
		apply(t, s, scheduler.Change{Record: &rec})
		s.Close()
	}
}

// TestFixtures opens a file of each version as it was published, and finds in it what was written then.
func TestFixtures(t *testing.T) {
	for version := 1; version <= len(migrations); version++ {
		dir := t.TempDir()
		old, err := os.ReadFile(fmt.Sprintf("testdata/state-v%d.db", version))
		if err != nil {
			t.Fatalf("each published version keeps a file in testdata: %v", err)
		}
		os.MkdirAll(filepath.Join(dir, Dir), 0o777)
		os.WriteFile(filepath.Join(dir, Dir, "state.db"), old, 0o666)
		// First by who only looks, which changes nothing; then by a run, which brings it forward.
		r, err := OpenRead(dir)
		if err != nil {
			t.Fatal(err)
		}
		checkFixture(t, version, r)
		r.Close()
		if now, _ := os.ReadFile(filepath.Join(dir, Dir, "state.db")); !bytes.Equal(now, old) {
			t.Errorf("version %d: reading changed the file", version)
		}
		s := mustOpen(t, dir)
		checkFixture(t, version, s)
		rec := fullRecord(7)
		apply(t, s, scheduler.Change{Record: &rec})
	}
}

// checkFixture finds what was written when the files of testdata were made.
func checkFixture(t *testing.T, version int, s *SQLite) {
	t.Helper()
	m, err := s.Meta(ctx)
	m.Updated = time.Time{}
	if want := (scheduler.Meta{Name: "fox", Plan: "abc", Renders: 12, Started: noon, Last: 8, SpentUSD: m.SpentUSD}); err != nil || m != want || m.SpentUSD < 0.0359 || m.SpentUSD > 0.0361 {
		t.Errorf("version %d: %+v, %v", version, m, err)
	}
	open := collect(t, s.Attempts(ctx))
	want := fullAttempt(7)
	want.Submitted, want.Token = noon, "" // stored in microseconds; the files were made without tokens
	if len(open) != 2 || !reflect.DeepEqual(open[0], want) {
		t.Errorf("version %d: attempts %+v", version, open)
	}
	records := collect(t, s.Records(ctx))
	if len(records) != 8 || !reflect.DeepEqual(records[5], fullRecord(5)) || records[6].State != scheduler.Active {
		t.Errorf("version %d: records %+v", version, records)
	}
}

// TestCutAtEveryCommit copies the files as they lie on the disk after each commit, as a power cut would leave them, and opens the copies.
func TestCutAtEveryCommit(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	for i := range 60 {
		a, rec := fullAttempt(int64(i+1)), fullRecord(i)
		a.State = scheduler.AttemptCollected
		apply(t, s, scheduler.Change{Attempt: &a}, scheduler.Change{Record: &rec})
		copied := t.TempDir()
		os.MkdirAll(filepath.Join(copied, Dir), 0o777)
		for _, name := range []string{"state.db", "state.db-wal"} {
			text, err := os.ReadFile(filepath.Join(dir, Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(name, "-wal") && i%2 == 1 {
				text = append(text, make([]byte, 3000)...) // and the next commit was torn
			}
			os.WriteFile(filepath.Join(copied, Dir, name), text, 0o666)
		}
		c, err := Open(copied)
		if err != nil {
			t.Fatalf("after commit %d: %v", i, err)
		}
		m, err := c.Meta(ctx)
		if n := len(collect(t, c.Records(ctx))); err != nil || n != i+1 || m.Last != int64(i+1) {
			t.Errorf("after commit %d: %d records, %+v, %v", i, n, m, err)
		}
		c.Close()
	}
}

// A failed Apply leaves nothing behind.
func TestAllOrNothing(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	rec := fullRecord(1)
	if err := s.Apply(ctx, []scheduler.Change{{Record: &rec}, {}}); err == nil {
		t.Fatal("an empty change was taken")
	}
	if n := len(collect(t, s.Records(ctx))); n != 0 {
		t.Errorf("%d records of a failed Apply", n)
	}
	apply(t, s, scheduler.Change{Record: &rec})
}

func BenchmarkApply(b *testing.B) {
	for _, rows := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(rows, " rows"), func(b *testing.B) {
			s, err := Open(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			changes := make([]scheduler.Change, rows)
			n := int64(0)
			for b.Loop() {
				for i := range changes {
					n++
					a := fullAttempt(n)
					changes[i] = scheduler.Change{Attempt: &a}
				}
				if err := s.Apply(ctx, changes); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
