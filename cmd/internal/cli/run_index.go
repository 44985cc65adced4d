package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/comfyc/comfyc/scheduler/store"
)

// runIndex is the list of the runs that this user has started, so that an id is enough from anywhere: a folder with a small file for each run, which
// several processes write without a lock. It mends itself: what is in it counts only as far as the run directory says the same.
type runIndex struct{ folder string } // "" is none

// maxRuns bounds the list; the runs that were started longest ago are forgotten.
const maxRuns = 1000

// knownRun is an entry of the list.
type knownRun struct {
	ID   string    `json:"-"`
	Dir  string    `json:"dir"` // absolute
	Name string    `json:"name"`
	Last time.Time `json:"-"` // when it was started last
}

// runs is the list of this user.
func (e *Env) runs() runIndex {
	if e.StateDir == "" {
		return runIndex{}
	}
	return runIndex{filepath.Join(e.StateDir, "comfyc", "runs")}
}

func (x runIndex) path(id string) string { return filepath.Join(x.folder, id+".json") }

// add enters a run, or renews it.
func (x runIndex) add(id, dir, name string) error {
	if x.folder == "" {
		return nil
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	text, err := json.Marshal(knownRun{Dir: abs, Name: name})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(x.folder, 0o700); err != nil {
		return err
	}
	if err := writeFile(x.path(id), append(text, '\n')); err != nil {
		return err
	}
	x.bound()
	return nil
}

// bound forgets the oldest entries above the limit.
func (x runIndex) bound() {
	list := x.list()
	for len(list) > maxRuns {
		_ = os.Remove(x.path(list[len(list)-1].ID))
		list = list[:len(list)-1]
	}
}

// list gives the entries as they are written, the one that was started last before the others.
func (x runIndex) list() (out []knownRun) {
	files, err := os.ReadDir(x.folder)
	if err != nil {
		return nil
	}
	for _, f := range files {
		id, isEntry := strings.CutSuffix(f.Name(), ".json")
		info, err := f.Info()
		if !isEntry || !isRunID(id) || err != nil || info.Size() > maxRecord {
			continue
		}
		if r, ok := x.read(id); ok {
			r.Last = info.ModTime()
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b knownRun) int {
		return cmp.Or(b.Last.Compare(a.Last), strings.Compare(a.ID, b.ID))
	})
	return out
}

// read gives an entry as it is written.
func (x runIndex) read(id string) (r knownRun, ok bool) {
	text, err := os.ReadFile(x.path(id))
	if err != nil || json.Unmarshal(text, &r) != nil || !filepath.IsAbs(r.Dir) {
		return r, false
	}
	r.ID = id
	return r, true
}

// present gives the entries whose directories are there. What is gone is taken out of the list; but not if the folder around it is gone too, which may
// be a disk that is not plugged in.
func (x runIndex) present() (out []knownRun) {
	for _, r := range x.list() {
		rec, err := readRecord(r.Dir)
		switch {
		case err == nil && rec.ID == r.ID:
			out = append(out, r)
		case errors.Is(err, errNoRecord) && exists(filepath.Dir(r.Dir)), err == nil:
			_ = os.Remove(x.path(r.ID))
		}
	}
	return out
}

// isCopy tells whether a directory that has an id is a copy: another directory, which is still there, had the id first.
func (x runIndex) isCopy(id, dir string) bool {
	r, ok := x.read(id)
	abs, err := filepath.Abs(dir)
	if x.folder == "" || !ok || err != nil || r.Dir == abs {
		return false
	}
	a, err1 := os.Stat(r.Dir)
	b, err2 := os.Stat(abs)
	if err1 != nil || err2 != nil || os.SameFile(a, b) {
		return false
	}
	rec, err := readRecord(r.Dir)
	return err == nil && rec.ID == id
}

// find gives the run directory that an argument means: a directory, or the id of a run or its beginning, which at least four letters must be of.
func (e *Env) find(arg string) (dir string, err error) {
	if exists(filepath.Join(arg, store.Dir)) {
		if rec, err := readRecord(arg); err == nil && !e.runs().isCopy(rec.ID, arg) {
			_ = e.runs().add(rec.ID, arg, rec.Name) // it may have moved
		}
		return arg, nil
	}
	if exists(arg) {
		return "", exitf(exitInput, "%s is no run directory: it has no state in it", arg)
	}
	var found []string
	for _, r := range e.runs().present() {
		if strings.HasPrefix(r.ID, arg) && len(arg) >= 4 {
			found = append(found, r.Dir)
		}
	}
	switch len(found) {
	case 0:
		return "", exitf(exitInput, "%s is no run directory, and no run of this user has this id; `comfyc status` lists them", arg)
	case 1:
		return found[0], nil
	}
	return "", exitf(exitInput, "%s is the beginning of several ids; give more letters", arg)
}
