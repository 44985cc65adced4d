package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store"
)

// cmdStatus looks and never locks, so it works beside a running batch and on a directory that is mounted read-only. Exit code 0
// however the batch stands; 1 if there is no state.
func cmdStatus(env *Env) *cobra.Command {
	var asJSON, all bool
	cmd := &cobra.Command{
		Use:   "status [DIR or ID]",
		Short: "say how far the batch of a run directory is, also while it runs; without one, list the runs of this user",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return env.listRuns(cmd.Context(), asJSON, all)
			}
			dir, err := env.find(args[0])
			if err != nil {
				return err
			}
			s, err := readStatus(cmd.Context(), dir)
			if err != nil {
				return err
			}
			return s.show(env, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object, or one a line for each run")
	cmd.Flags().BoolVar(&all, "all", false, "list all runs, not only those that were started last")
	return cmd
}

// readStatus reads how far a run directory is. It locks nothing.
// One pass over the records, so memory holds the troubles only. What it says may be some milliseconds old when a batch runs.
func readStatus(ctx context.Context, dir string) (s batchStatus, err error) {
	st, err := store.OpenRead(dir)
	if errors.Is(err, os.ErrNotExist) {
		return s, exitf(exitInput, "%s is no run directory: it has no state in it", dir)
	} else if err != nil {
		return s, exitf(exitInput, "%v", err)
	}
	defer st.Close()
	meta, err := st.Meta(ctx)
	if err != nil {
		return s, exitf(exitInput, "%v", err)
	}
	s = batchStatus{Name: meta.Name, Dir: dir, Renders: meta.Renders, Started: meta.Started, Updated: meta.Updated, SpentUSD: meta.SpentUSD, Counts: map[string]int{},
		Holder: holderOf(dir)} // from the lock file, which is read and not locked
	// A directory without a readable record has no id, and is shown without one.
	if r, err := readRecord(dir); err == nil {
		s.ID = r.ID
	}
	for r, err := range st.Records(ctx) {
		if err != nil {
			return s, exitf(exitInput, "%v", err)
		}
		s.add(r)
	}
	return s, nil
}

// show prints a status.
// JSON is one line; text is what people read, with troubles cut off at ten.
func (s *batchStatus) show(env *Env, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(env.Stdout).Encode(s)
	}
	s.print(env.Stdout)
	return nil
}

// batchStatus is what `comfyc status` says.
// It is an object of the contract with scripts: names and units of its members stay. Times are as the state has them.
type batchStatus struct {
	ID       string         `json:"id,omitempty"` // eight letters; "" if the directory has no run.json
	Name     string         `json:"name"`
	Dir      string         `json:"dir"`
	Holder   *holder        `json:"holder,omitempty"` // the process that runs it, nil if none does
	Renders  int            `json:"renders"`          // of the plan that ran last
	Counts   map[string]int `json:"counts"`           // by state; waiting ones are the rest
	Started  time.Time      `json:"started"`
	Updated  time.Time      `json:"updated"`            // when a state last changed, which a stuck run shows by
	SpentUSD float64        `json:"spent_usd"`          // an estimate
	Troubles []statusLine   `json:"troubles,omitempty"` // failed and held ones, in the order of the plan
	Reused   int            `json:"reused,omitempty"`   // done ones that were taken from the cache
	Former   int            `json:"former,omitempty"`   // renders of earlier forms of the batch, kept for when they come back
}

// statusLine is a render that failed or is held.
// A held one has the remote id, if there is one, by which it can be looked up in the platform's console.
type statusLine struct {
	Render   int    `json:"render"`
	State    string `json:"state"`
	Endpoint string `json:"endpoint,omitempty"`
	Remote   string `json:"remote,omitempty"`
	Reason   string `json:"reason"`
}

// add counts one record in. Records below 0 belong to no render of the present plan. Of a reused render every file came from
// the cache, so the first one tells.
func (s *batchStatus) add(r scheduler.Record) {
	if r.Render < 0 {
		s.Former++
		return
	}
	s.Counts[r.State.String()]++
	if len(r.Files) > 0 && r.Files[0].Reused != nil {
		s.Reused++
	}
	if r.State == scheduler.RenderFailed || r.State == scheduler.Held {
		s.Troubles = append(s.Troubles, statusLine{r.Render, r.State.String(), r.Endpoint, r.Remote, r.Reason})
	}
}

// waiting counts the renders that nothing is known of yet.
// The state has rows only for what has left "waiting"; the rest is the difference.
func (s *batchStatus) waiting() int {
	left := s.Renders
	for _, n := range s.Counts {
		left -= n
	}
	return left
}

// print leaves out the states that no render is in. Money is an estimate.
func (s *batchStatus) print(w io.Writer) {
	fmt.Fprintf(w, "%s: %d of %s done", s.Name, s.Counts["done"], count(s.Renders, "render"))
	if s.Reused > 0 {
		fmt.Fprintf(w, " (%d taken from the cache)", s.Reused)
	}
	for _, state := range []string{"active", "failed", "held", "cancelled"} {
		if n := s.Counts[state]; n > 0 {
			fmt.Fprintf(w, ", %d %s", n, state)
		}
	}
	if left := s.waiting(); left > 0 {
		fmt.Fprintf(w, ", %d waiting", left)
	}
	fmt.Fprintf(w, "\nstarted %s, last change %s, about %s spent\n", s.Started.Format(time.DateTime), s.Updated.Format(time.DateTime), dollars(s.SpentUSD))
	if s.Holder != nil {
		fmt.Fprintf(w, "process %d on %s runs it since %s\n", s.Holder.PID, s.Holder.Host, s.Holder.Since)
	}
	if s.ID != "" {
		fmt.Fprintf(w, "run %s in %s\n", s.ID, s.Dir)
	}
	for i, t := range s.Troubles {
		if i == maxListed {
			fmt.Fprintf(w, "  … and %d more\n", len(s.Troubles)-maxListed)
			break
		}
		fmt.Fprintf(w, "  render %d %s on %s: %s\n", t.Render, t.State, orElse(t.Endpoint, "no endpoint"), t.Reason)
	}
}
