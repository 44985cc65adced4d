package cli

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/comfyc/comfyc/render"
	"github.com/comfyc/comfyc/scheduler/store"
)

// runRecord says how the batch of a run directory was started, so that `resume`, `retry` and `cancel` can go on with it. It lies in .comfyc/run.json.
// Its paths are relative to the run directory, so that both can move together, also to another machine.
// It is written whole at every start of `render`. Flags keep their command-line form, so that they go through the same parser
// when they are read back.
type runRecord struct {
	Version int                 `json:"version"` // 1
	ID      string              `json:"id"`      // 8 letters of a-z2-7
	Name    string              `json:"name"`
	Batch   string              `json:"batch"`           // path of the batch file, or of the workflow where there is no batch
	Flags   map[string][]string `json:"flags,omitempty"` // those that were given, by name; several values for flags that may be repeated
	Started time.Time           `json:"started"`         // of the first run with these words
}

const (
	recordVersion = 1
	recordFile    = "run.json"
	maxRecord     = 1 << 20 // bytes
	idLetters     = 8       // of 5 bits each
)

// notKept are flags that are for one run, or for the display.
// resume and retry have flags of their own for the ones that matter.
var notKept = []string{"json", "verbose", "resubmit-uncertain", "retry-failed", "write", "help", "watch"}

// pathFlags name files or folders.
// "cache" may also be "off" or a URL, and "theme" a built-in one, which isPath tells apart.
var pathFlags = []string{"nodes", "endpoints", "cache", "theme"}

// recordOf notes what a command line said about a batch that goes to dir.
// Called before the run, with the flag set that was parsed; only flags that were given are kept, so that defaults may change
// between versions.
func recordOf(dir, file, name string, f *renderFlags, flags *pflag.FlagSet) runRecord {
	r := runRecord{Version: recordVersion, Name: name, Flags: map[string][]string{}}
	made := f.write != "" // then the flags that made the batch are in it
	if made {
		file = f.write
	}
	r.Batch = relativeTo(dir, file)
	flags.Visit(func(flag *pflag.Flag) {
		if slices.Contains(notKept, flag.Name) || made && (flag.Name == "set" || flag.Name == "sweep") {
			return
		}
		values := []string{flag.Value.String()}
		if list, ok := flag.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		if slices.Contains(pathFlags, flag.Name) && isPath(values[0]) {
			values = []string{relativeTo(dir, values[0])}
		}
		r.Flags[flag.Name] = values
	})
	return r
}

// isPath tells a path from the other things that may stand for a cache or a theme.
func isPath(s string) bool {
	return s != "off" && !strings.Contains(s, "://") && !slices.Contains(render.Themes(), s)
}

// relativeTo gives a path as it is seen from a folder, with slashes; as it is from the root, where there is no way (another drive).
// Slashes are written on every system, so that a directory that moves from Windows to Linux still reads.
func relativeTo(dir, path string) string {
	from, err1 := filepath.Abs(dir)
	to, err2 := filepath.Abs(path)
	if err1 != nil || err2 != nil {
		return filepath.ToSlash(path)
	}
	rel, err := filepath.Rel(from, to)
	if err != nil {
		return filepath.ToSlash(to)
	}
	return filepath.ToSlash(rel)
}

// from gives a path of the record as it is seen from the working directory.
// The shorter of the relative and the absolute form is given, since it is what people see in messages.
func (r *runRecord) from(dir, path string) string {
	path = filepath.FromSlash(path)
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(here, abs); err == nil && len(rel) < len(abs) {
		return rel
	}
	return abs
}

// restore gives the batch file and the flags that a record says.
// Every value goes through cobra's parser again, into a fresh set of flags: a flag that is not known any more, or a value that
// it refuses, is an error.
func (r *runRecord) restore(dir string) (file string, f *renderFlags, err error) {
	f = &renderFlags{}
	cmd := &cobra.Command{}
	f.registerAll(cmd)
	for name, values := range r.Flags {
		for _, v := range values {
			if slices.Contains(pathFlags, name) && isPath(v) {
				v = r.from(dir, v)
			}
			if err := cmd.Flags().Set(name, v); err != nil {
				return "", nil, fmt.Errorf("--%s %s: %v", name, v, err)
			}
		}
	}
	f.flags = cmd.Flags()
	return r.from(dir, r.Batch), f, nil
}

// errNoRecord says that a directory does not tell how its batch was started.
// It covers a missing and a damaged file: both leave the batch file as the way to go on.
var errNoRecord = errors.New("it does not say how its batch was started")

// readRecord reads the record of a run directory.
// At most 1 MiB is read. The file lies in a folder that may come from elsewhere, so version, id and batch are checked.
func readRecord(dir string) (r runRecord, err error) {
	f, err := os.Open(filepath.Join(dir, store.Dir, recordFile))
	if errors.Is(err, fs.ErrNotExist) {
		return r, errNoRecord
	} else if err != nil {
		return r, err
	}
	defer f.Close()
	err = json.NewDecoder(io.LimitReader(f, maxRecord)).Decode(&r)
	switch {
	case err != nil:
		return r, fmt.Errorf("%w: %s is damaged: %v", errNoRecord, f.Name(), err)
	case r.Version != recordVersion:
		return r, fmt.Errorf("%s has version %s, only %d is known", f.Name(), strconv.Itoa(r.Version), recordVersion)
	case !isRunID(r.ID) || r.Batch == "":
		return r, fmt.Errorf("%w: %s is damaged", errNoRecord, f.Name())
	}
	return r, nil
}

// newRunID draws an id that nobody else has, likely: 40 bits.
// Among the 1000 runs that are listed, two alike have a chance of about one in two million.
func newRunID() string { return strings.ToLower(rand.Text()[:idLetters]) }

// isRunID tells whether a text can be an id of a run.
// The id becomes a file's name, so this also keeps "../" out.
func isRunID(s string) bool {
	return len(s) == idLetters && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// remember writes the record of a run, and makes the run known to this user. Trouble with either does not stop a run: it is told.
// A copied directory gets a new id; the same directory keeps its id and the time of its first start.
func (e *Env) remember(dir string, r runRecord) (id string) {
	index := e.runs()
	old, err := readRecord(dir)
	r.ID, r.Started = newRunID(), e.Now().UTC()
	if err == nil && !index.isCopy(old.ID, dir) {
		r.ID, r.Started = old.ID, old.Started
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = writeFile(filepath.Join(dir, store.Dir, recordFile), append(text, '\n'))
	}
	if err == nil {
		err = index.add(r.ID, dir, r.Name)
	}
	if err != nil {
		fmt.Fprintf(e.Stderr, "comfyc: warning: this run cannot be gone on with by its id: %v\n", err)
	}
	return r.ID
}
