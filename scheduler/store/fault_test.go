package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/scheduler"
)

// folder writes the files of a run directory's state.
func folder(t *testing.T, files map[string][]byte) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, Dir), 0o777); err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, Dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// state makes a state of n commits, one record each, and gives its files as they lie on the disk while it is in use.
func state(t *testing.T, n int) (db, wal []byte) {
	t.Helper()
	dir := t.TempDir()
	s := mustOpen(t, dir)
	for i := range n {
		a, rec := fullAttempt(int64(i+1)), fullRecord(i)
		a.State = scheduler.AttemptCollected
		apply(t, s, scheduler.Change{Attempt: &a}, scheduler.Change{Record: &rec})
	}
	db, err := os.ReadFile(filepath.Join(dir, Dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	if wal, err = os.ReadFile(filepath.Join(dir, Dir, "state.db-wal")); err != nil {
		t.Fatal(err)
	}
	s.Close()
	return db, wal
}

// A power cut leaves the log's beginning, or its beginning and junk. Each such state opens, has the first commits whole, and goes on.
func TestLogCutAtEveryWrite(t *testing.T) {
	db, wal := state(t, 12)
	const frame = 24 + 4096
	last := -1
	for at := 0; at <= len(wal); at += frame / 2 { // at the borders of writes, and amid each
		for _, junk := range [][]byte{nil, make([]byte, 5000), bytes.Repeat([]byte("junk"), 3000)} {
			dir := folder(t, map[string][]byte{"state.db": db, "state.db-wal": append(bytes.Clone(wal[:min(at+32, len(wal))]), junk...)})
			s, err := Open(dir)
			if err != nil {
				t.Fatalf("the log cut at %d: %v", at, err)
			}
			records := collect(t, s.Records(ctx))
			m, err := s.Meta(ctx)
			if err != nil || int(m.Last) != len(records) {
				t.Fatalf("the log cut at %d: %d records and %d attempts, %v", at, len(records), m.Last, err)
			}
			if junk == nil {
				if len(records) < last {
					t.Fatalf("the log cut at %d: %d records, and %d when cut before", at, len(records), last)
				}
				last = len(records)
			}
			rec := fullRecord(100)
			apply(t, s, scheduler.Change{Record: &rec})
			s.Close()
		}
	}
	if last != 12 {
		t.Errorf("the whole log has %d records", last)
	}
}

// A file that is shorter than it was is refused, wherever it was cut, and left as it is.
func TestFileCutAtEveryPage(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	for i := range 200 {
		rec := fullRecord(i)
		apply(t, s, scheduler.Change{Record: &rec})
	}
	s.Close() // what the log held is in the file now
	db, err := os.ReadFile(filepath.Join(dir, Dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	for at := 1; at < len(db); at += 2048 {
		cut := folder(t, map[string][]byte{"state.db": db[:at]})
		s, err := Open(cut)
		var wrong *FileError
		if !errors.As(err, &wrong) {
			if err == nil {
				s.Close()
			}
			t.Errorf("cut at %d of %d: %v", at, len(db), err)
		}
		if after, err := os.ReadFile(filepath.Join(cut, Dir, "state.db")); err != nil || !bytes.Equal(after, db[:at]) {
			t.Errorf("cut at %d: the file was changed (%v)", at, err)
		}
	}
}

// A full disk fails a commit and spoils nothing; with room again it goes on.
func TestDiskFull(t *testing.T) {
	dir := smallDisk(t, "3m")
	s := mustOpen(t, dir)
	kept := 0
	var full error
	for i := range 5000 {
		rec := fullRecord(i)
		rec.Reason = strings.Repeat("x", 2000)
		if full = s.Apply(ctx, []scheduler.Change{{Record: &rec}}); full != nil {
			break
		}
		kept++
	}
	if full == nil || !strings.Contains(full.Error(), "full") {
		t.Fatalf("after %d records: %v", kept, full)
	}
	if n := len(collect(t, s.Records(ctx))); n != kept {
		t.Errorf("%d records of %d", n, kept)
	}
	s.Close()
	remount(t, dir, "size=12m")
	s = mustOpen(t, dir)
	rec := fullRecord(9999)
	apply(t, s, scheduler.Change{Record: &rec})
	if n := len(collect(t, s.Records(ctx))); n != kept+1 {
		t.Errorf("%d records, want %d", n, kept+1)
	}
}

// A disk that turns read-only fails commits; what is there can still be read.
func TestReadOnlyDisk(t *testing.T) {
	dir := smallDisk(t, "8m")
	s := mustOpen(t, dir)
	rec, other := fullRecord(1), fullRecord(2)
	apply(t, s, scheduler.Change{Record: &rec})
	s.Close()
	remount(t, dir, "ro")
	if s, err := Open(dir); err == nil {
		err = s.Apply(ctx, []scheduler.Change{{Record: &other}})
		s.Close()
		if err == nil {
			t.Error("a read-only disk was written")
		}
	}
	r, err := OpenRead(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n := len(collect(t, r.Records(ctx))); n != 1 {
		t.Errorf("%d records", n)
	}
}
