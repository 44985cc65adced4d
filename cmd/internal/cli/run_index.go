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
// Ids come from run.json in the run directories; this list only says where those are.
type runIndex struct{ folder string } // "" is none

// maxRuns bounds the list; the runs that were started longest ago are forgotten.
// Every `status` without an argument, and every look-up of an id, reads all of them.
const maxRuns = 1000

// knownRun is an entry of the list.
type knownRun struct {
	ID   string    `json:"-"`   // the file's name
	Dir  string    `json:"dir"` // absolute
	Name string    `json:"name"`
	Last time.Time `json:"-"` // when it was started last
}

// runs is the list of this user.
// On Linux: ~/.local/state/comfyc/runs, or below XDG_STATE_HOME.
func (e *Env) runs() runIndex {
	if e.StateDir == "" {
		return runIndex{}
	}
	return runIndex{filepath.Join(e.StateDir, "comfyc", "runs")}
}

func (x runIndex) path(id string) string { return filepath.Join(x.folder, id+".json") }

// add enters a run, or renews it.
// The folder is made with 0700: names of batches are nobody else's business. No folder, no error.
func (x runIndex) add(id, dir, name string) error {
	if x.folder == "" {
		return nil
	}
	abs, err := filepath.Abs(dir) // an id must work from any working directory
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
	if err := writeFile(x.path(id), append(text, '\n')); err != nil { // whole or not at all, so a reader beside us sees no half entry
		return err
	}
	x.bound()
	return nil
}

// bound forgets the oldest entries above the limit.
// What cannot be removed now is tried again at the next start.
func (x runIndex) bound() {
	list := x.list()
	for len(list) > maxRuns {
		_ = os.Remove(x.path(list[len(list)-1].ID))
		list = list[:len(list)-1]
	}
}

// list gives the entries as they are written, the one that was started last before the others.
// Files that are no entries, too big or damaged are passed over, not removed: the folder is the user's.
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
// false for what is missing, damaged, or does not name an absolute path.
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
		rec, err := readRecord(r.Dir) // read from the directory itself: the list is only a hint
		switch {
		case err == nil && rec.ID == r.ID:
			out = append(out, r)
		case errors.Is(err, errNoRecord) && exists(filepath.Dir(r.Dir)), err == nil: // the directory is gone, or holds another run by now
			_ = os.Remove(x.path(r.ID))
		}
	}
	return out
}

// isCopy tells whether a directory that has an id is a copy: another directory, which is still there, had the id first.
// After `cp -r out out2` both hold the same run.json; the copy gets an id of its own at its next start. Hard links and bind
// mounts are the same directory, no copy.
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
// Directories win over ids. Ids of other users, or of before the list was bounded, are not found; their directories still are.
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
		if strings.HasPrefix(r.ID, arg) && len(arg) >= 4 { // 4 letters are 20 bits: rarely the beginning of two of 1000
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
