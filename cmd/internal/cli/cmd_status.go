package cli

import (
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
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status DIR",
		Short: "say how far the batch of a run directory is, also while it runs",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			st, err := store.OpenRead(args[0])
			if errors.Is(err, os.ErrNotExist) {
				return exitf(exitInput, "%s is no run directory: it has no state in it", args[0])
			} else if err != nil {
				return exitf(exitInput, "%v", err)
			}
			defer st.Close()
			meta, err := st.Meta(cmd.Context())
			if err != nil {
				return exitf(exitInput, "%v", err)
			}
			s := batchStatus{Name: meta.Name, Renders: meta.Renders, Started: meta.Started, Updated: meta.Updated, SpentUSD: meta.SpentUSD, Counts: map[string]int{}}
			for r, err := range st.Records(cmd.Context()) {
				if err != nil {
					return exitf(exitInput, "%v", err)
				}
				s.add(r)
			}
			if asJSON {
				return json.NewEncoder(env.Stdout).Encode(s)
			}
			s.print(env.Stdout)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// batchStatus is what `comfyc status` says.
type batchStatus struct {
	Name     string         `json:"name"`
	Renders  int            `json:"renders"`
	Counts   map[string]int `json:"counts"` // by state; waiting ones are the rest
	Started  time.Time      `json:"started"`
	Updated  time.Time      `json:"updated"`
	SpentUSD float64        `json:"spent_usd"` // an estimate
	Troubles []statusLine   `json:"troubles,omitempty"`
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
	if r.State == scheduler.RenderFailed || r.State == scheduler.Held {
		s.Troubles = append(s.Troubles, statusLine{r.Render, r.State.String(), r.Endpoint, r.Remote, r.Reason})
	}
}

func (s *batchStatus) print(w io.Writer) {
	left := s.Renders
	for _, n := range s.Counts {
		left -= n
	}
	fmt.Fprintf(w, "%s: %d of %s done", s.Name, s.Counts["done"], count(s.Renders, "render"))
	for _, state := range []string{"active", "failed", "held", "cancelled"} {
		if n := s.Counts[state]; n > 0 {
			fmt.Fprintf(w, ", %d %s", n, state)
		}
	}
	if left > 0 {
		fmt.Fprintf(w, ", %d waiting", left)
	}
	fmt.Fprintf(w, "\nstarted %s, last change %s, about %s spent\n", s.Started.Format(time.DateTime), s.Updated.Format(time.DateTime), dollars(s.SpentUSD))
	for i, t := range s.Troubles {
		if i == maxListed {
			fmt.Fprintf(w, "  … and %d more\n", len(s.Troubles)-maxListed)
			break
		}
		fmt.Fprintf(w, "  render %d %s on %s: %s\n", t.Render, t.State, orElse(t.Endpoint, "no endpoint"), t.Reason)
	}
}
