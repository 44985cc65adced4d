package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"text/tabwriter"

	"github.com/comfyc/comfyc/scheduler/store"
)

// listedRuns is how many runs are listed without --all.
// A screenful; the others are counted on stderr.
const listedRuns = 20

// listRuns prints the runs of this user, the one that was started last first.
// A run whose state cannot be read is a warning, and the list goes on. JSON leaves out the troubles, to stay one short line a
// run.
func (e *Env) listRuns(ctx context.Context, asJSON, all bool) error {
	runs := e.runs().present()
	table := tabwriter.NewWriter(e.Stdout, 0, 0, 2, ' ', 0)
	for i, r := range runs {
		if i == listedRuns && !all {
			fmt.Fprintf(e.Stderr, "comfyc: and %d more; --all lists them\n", len(runs)-listedRuns)
			break
		}
		s, err := readStatus(ctx, r.Dir)
		if err != nil {
			fmt.Fprintf(e.Stderr, "comfyc: warning: run %s: %v\n", r.ID, err)
			continue
		}
		if asJSON {
			s.Troubles = nil
			if err := json.NewEncoder(e.Stdout).Encode(s); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d/%d\t%s\t%s\n", r.ID, printable(s.Name), s.word(), s.Counts["done"], s.Renders, ago(e.Now().Sub(s.Updated)), r.Dir)
	}
	if len(runs) == 0 {
		fmt.Fprintln(e.Stderr, "comfyc: this user has no runs yet")
	}
	return table.Flush()
}

// word says in one word where a batch stands.
// The first that is true counts: a batch that runs is "running" whatever else, and "failed" is what is left when nothing waits.
func (s *batchStatus) word() string {
	switch {
	case s.Holder != nil:
		return "running"
	case s.Counts["done"] == s.Renders:
		return "done"
	case s.Counts["held"] > 0:
		return "held"
	case s.waiting()+s.Counts["active"]+s.Counts["cancelled"] > 0:
		return "stopped"
	}
	return "failed"
}

// holder is the process that says in the lock file of a run directory that it runs the batch.
// It is written by the process that takes the lock, and may be stale after a kill.
type holder struct {
	PID   int    `json:"pid"`
	Host  string `json:"host"`
	Since string `json:"since"` // as the lock file has it: RFC 3339
}

// holderOf reads who runs the batch of a directory, without touching the lock. What a process that was killed left there does not count; of a process
// on another machine nobody here knows whether it is alive.
// nil if nobody holds it or nothing can be read.
func holderOf(dir string) *holder {
	f, err := os.Open(filepath.Join(dir, store.Dir, "lock"))
	if err != nil {
		return nil
	}
	defer f.Close()
	var h holder
	if json.NewDecoder(io.LimitReader(f, 4096)).Decode(&h) != nil || h.PID <= 0 {
		return nil
	}
	if host, err := os.Hostname(); err == nil && host == h.Host && !alive(h.PID) { // another container may have our number but not our host name
		return nil
	}
	return &h
}

// alive tells whether there is a process of a number on this machine.
// Signal 0 asks without sending. A process of another user is there too, though we may not signal it.
func alive(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	defer func() { _ = p.Release() }()
	if runtime.GOOS == "windows" {
		return true // there, only processes that are alive are found
	}
	err = p.Signal(syscall.Signal(0))
	return err == nil || errors.Is(err, os.ErrPermission)
}
