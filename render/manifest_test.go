package render

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// small is a manifest with one of everything, in a wrong order.
func small() *Manifest {
	cost := 0.0045
	m := &Manifest{
		Version: 1, Name: "fox-sweep", Created: "2026-03-01T09:00:00Z", Updated: "2026-03-01T09:14:00Z", Plan: "5f1d2c",
		Gallery: Layout{Title: "Foxes </script><b>&", Rows: "cfg", Cols: "seed"},
		Axes: []Axis{
			{Name: "cfg", Addresses: []string{"3.cfg"}, Values: []AxisValue{{Label: "1"}, {Label: "3.5", Value: "3.50"}}, Role: "number"},
			{Name: "seed", Values: []AxisValue{{Label: "18446744073709551615"}}, Role: "seed"},
		},
		Cells: []Cell{
			{ID: "b2", Index: 1, Render: "r2", Coordinates: map[string]string{"seed": "18446744073709551615", "cfg": "3.5"}, State: StateFailed, Error: "out of memory", Missing: []string{"9"}, Attempts: 3, Seconds: 2.5},
			{ID: "a1", Index: 0, Render: "r1", Coordinates: map[string]string{"seed": "18446744073709551615", "cfg": "1"}, State: StateDone,
				Files: []File{{Path: "images/a b/0#1%.png", Thumb: "thumbs/a b/0#1%.jpg", Original: "originals/a b/0.png", Node: "9", Title: "Save", Type: "image/png", Kind: KindImage,
					Width: 512, Height: 512, Bytes: 1000, SHA256: "ab", Metadata: []string{"prompt"}, Preview: true, Note: "n"}, {Path: "images/t.txt", Type: "text/plain", Kind: KindText, Bytes: 5, SHA256: "cd", Text: "hello"}},
				Prompt: "a fox </script><script>alert(1)</script>\u2028", Negative: "=cmd()", Seed: "18446744073709551615", Params: []Param{{"steps", "20"}, {"cfg", "1"}},
				Workflow: "workflows/r1.json", Endpoint: "novita-4090", GPU: "rtx4090", Worker: "w", Seconds: 14.5, CostUSD: &cost, Attempts: 1},
			{ID: "a2", Index: 2, Render: "r1", Coordinates: map[string]string{"cfg": "1"}, State: StateDone, Seconds: 14.5, CostUSD: &cost},
		},
	}
	m.Tally()
	return m
}

// golden compares got with a file of testdata, or writes it with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s has changed:\n%s", name, got)
	}
}

func TestManifestRoundTrip(t *testing.T) {
	var first, second bytes.Buffer
	if err := small().Write(&first); err != nil {
		t.Fatal(err)
	}
	golden(t, "manifest.json", first.Bytes())
	m, err := ReadManifest(bytes.NewReader(first.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Write(&second); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Errorf("read and written again it differs: %v\n%s", err, second.Bytes())
	}
	var empty bytes.Buffer
	if err := (&Manifest{Version: 1}).Write(&empty); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadManifest(&empty); err != nil {
		t.Errorf("an empty manifest: %v", err)
	}
}

func TestTally(t *testing.T) {
	got := small().Totals
	if got.Cells != 3 || got.Renders != 2 || got.Done != 1 || got.Failed != 1 || got.Files != 2 || got.Bytes != 1005 || got.Seconds != 17 || *got.CostUSD != 0.0045 || got.Unpriced != 0 {
		t.Errorf("totals %+v", got)
	}
	m := &Manifest{Cells: []Cell{{Render: "1", State: StateDone}, {Render: "2", State: StateHeld}, {Render: "3"}, {Render: "4", State: StateActive}, {Render: "5", State: StateCancelled}}}
	m.Tally()
	if got := m.Totals; got.Unpriced != 1 || got.CostUSD != nil || got.Held != 1 || got.Waiting != 1 || got.Active != 1 || got.Cancelled != 1 {
		t.Errorf("totals %+v", got)
	}
}

func TestReadManifestErrors(t *testing.T) {
	for text, want := range map[string]string{
		``:                                "unexpected end",
		`{"version": 2}`:                  "version 2, only 1",
		`{"version": 1} x`:                "invalid character",
		`{"version": 1, "cells": [`:       "unexpected end",
		`{"version": 1, "cells": [null]}`: "null in a list",
		`{"version": 1, "x": "abc`:        "does not end",
		`{"version": 1, "axes": [{"name": "a"}, {"name": "a"}]}`:                         "used twice",
		`{"version": 1, "axes": [{"name": ""}]}`:                                         "is empty",
		`{"version": 1, "cells": [{"coordinates": {"b": "1"}}]}`:                         `no axis "b"`,
		`{"version": 1, "cells": [{"files": [{"path": "../x.png"}]}]}`:                   "leaves the run directory",
		`{"version": 1, "cells": [{"files": [{"path": "/x.png"}]}]}`:                     "leaves the run directory",
		`{"version": 1, "cells": [{"files": [{"path": ""}]}]}`:                           "leaves the run directory",
		`{"version": 1, "cells": [{"files": [{"path": "a/../b"}]}]}`:                     "leaves the run directory",
		`{"version": 1, "cells": [{"files": [{"path": "javascript:alert(1)"}]}]}`:        "leaves the run directory",
		`{"version": 1, "cells": [{"files": [{"path": "a", "thumb": "..\\x"}]}]}`:        "leaves the run directory",
		`{"version": 1, "cells": [{"files": [{"path": "a", "original": "https://x"}]}]}`: "leaves the run directory",
		`{"version": 1, "cells": [{"workflow": ".."}]}`:                                  "leaves the run directory",
		`{"x": ` + strings.Repeat("[", 17) + `}`:                                         "deeper than 16",
		`{"x": [` + strings.Repeat("{},", maxManifestNodes) + `{}]}`:                     "too many elements",
	} {
		if _, err := ReadManifest(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: error %v, want %q", text, err, want)
		}
	}
	if _, err := ReadManifest(strings.NewReader(`{"version": 1, "later": {"a": [1, "n", true]}}`)); err != nil {
		t.Errorf("an unknown key: %v", err)
	}
}

func FuzzReadManifest(f *testing.F) {
	var b bytes.Buffer
	if err := small().Write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(`{"version": 1, "cells": [{"files": [{"path": "a"}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ReadManifest(bytes.NewReader(data))
		if err != nil {
			return
		}
		m.Tally()
		var first, second, page bytes.Buffer
		if err := m.Write(&first); err != nil {
			t.Fatal(err)
		}
		again, err := ReadManifest(bytes.NewReader(first.Bytes()))
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if err := again.Write(&second); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Fatalf("not stable: %v", err)
		}
		if err := Gallery(&page, m, GalleryOptions{}); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(page.String(), "</script>"); n != 2 {
			t.Fatalf("%d script ends in the page", n)
		}
		if err := m.WriteCSV(&bytes.Buffer{}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestWriteFileKeepsTheOld(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "manifest.json")
	if err := small().WriteFile(path); err != nil {
		t.Fatal(err)
	}
	bad := small()
	inf := 1.0
	for range 2000 {
		inf *= 10
	}
	bad.Cells[0].Seconds = inf // JSON has no infinity
	if err := bad.WriteFile(path); err == nil {
		t.Fatal("infinite seconds were written")
	}
	if _, err := ReadManifestFile(path); err != nil {
		t.Errorf("the old manifest is damaged: %v", err)
	}
	if left := tree(t, dir); len(left) != 1 {
		t.Errorf("files %v", left)
	}
}
