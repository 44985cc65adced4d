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
		Holder: holderOf(dir)}
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
func (s *batchStatus) show(env *Env, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(env.Stdout).Encode(s)
	}
	s.print(env.Stdout)
	return nil
}

// batchStatus is what `comfyc status` says.
type batchStatus struct {
	ID       string         `json:"id,omitempty"`
	Name     string         `json:"name"`
	Dir      string         `json:"dir"`
	Holder   *holder        `json:"holder,omitempty"` // the process that runs it, nil if none does
	Renders  int            `json:"renders"`
	Counts   map[string]int `json:"counts"` // by state; waiting ones are the rest
	Started  time.Time      `json:"started"`
	Updated  time.Time      `json:"updated"`
	SpentUSD float64        `json:"spent_usd"` // an estimate
	Troubles []statusLine   `json:"troubles,omitempty"`
	Reused   int            `json:"reused,omitempty"` // done ones that were taken from the cache
	Former   int            `json:"former,omitempty"` // renders of earlier forms of the batch, kept for when they come back
}

// statusLine is a render that failed or is held.
type statusLine struct {
	Render   int    `json:"render"`
	State    string `json:"state"`
	Endpoint string `json:"endpoint,omitempty"`
	Remote   string `json:"remote,omitempty"`
	Reason   string `json:"reason"`
}

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
func (s *batchStatus) waiting() int {
	left := s.Renders
	for _, n := range s.Counts {
		left -= n
	}
	return left
}

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
