package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/render"
	"github.com/comfyc/comfyc/render/run"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store"
)

func cmdCancel(env *Env) *cobra.Command {
	var asJSON bool
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "cancel DIR or ID",
		Short: "stop the batch of a run directory, and cancel its jobs on endpoints",
		Long: `If a process runs the batch, on this machine or on another one that shares the directory, it is asked to stop as at Ctrl-C: it submits nothing more,
cancels its jobs, and collects what is finished. If the process is gone, its jobs are cancelled from here. Nothing is submitted. What is done stays, and
comfyc resume goes on with the rest.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := env.find(args[0])
			if err != nil {
				return err
			}
			if err := env.stopRunning(cmd.Context(), dir, wait); err != nil {
				return err
			}
			return env.cancelLeft(cmd.Context(), dir, asJSON, wait)
		},
	}
	cmd.Flags().DurationVar(&wait, "wait", time.Minute, "how `LONG` to wait for the process, and then for the endpoints")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object: the batch's status after it")
	return cmd
}

// askEvery is the pause between two looks whether a process has let go of a directory.
const askEvery = 200 * time.Millisecond

// stopRunning asks the process that has a run directory to stop, and waits until it has. The lock is asked and not the process's number: the system
// frees it when the process ends, however that happens.
func (e *Env) stopRunning(ctx context.Context, dir string, wait time.Duration) error {
	var holder *store.LockedError
	for until := e.Now().Add(wait); ; {
		st, err := store.Open(dir)
		var locked *store.LockedError
		switch {
		case err == nil:
			return st.Close()
		case !errors.As(err, &locked):
			return exitf(exitInput, "%v", err)
		case holder == nil:
			holder = locked
			fmt.Fprintf(e.Stderr, "comfyc: %v; it is asked to stop\n", locked)
		}
		if err := run.RequestStop(dir); err != nil {
			return exitf(exitInput, "%v\nIt cannot be asked to stop: %v", locked, err)
		}
		if e.Now().After(until) {
			return exitf(exitIncomplete, "%v\nIt did not stop within %s. If it hangs, end that process, then run this command again.", locked, wait)
		}
		select {
		case <-ctx.Done():
			return exitf(exitInterrupted, "interrupted; process %d on %s was asked to stop and may do so later", locked.PID, locked.Host)
		case <-time.After(askEvery):
		}
	}
}

// cancelLeft cancels what no process cares for any more.
func (e *Env) cancelLeft(ctx context.Context, dir string, asJSON bool, wait time.Duration) error {
	open, err := openJobs(ctx, dir)
	if err != nil {
		return exitf(exitInput, "%v", err)
	}
	var sum scheduler.Summary
	if open > 0 {
		if sum, err = e.cancelJobs(ctx, dir, wait); err != nil {
			return err
		}
	}
	s, err := readStatus(ctx, dir)
	if err != nil {
		return err
	}
	if err := s.show(e, asJSON); err != nil {
		return err
	}
	listTrouble(e.Stderr, "left", sum.Left, "")
	if len(sum.Left) > 0 || s.Counts["held"] > 0 {
		return silent(exitIncomplete)
	}
	return nil
}

// openJobs counts the jobs of a run directory that may be on remotes.
func openJobs(ctx context.Context, dir string) (n int, err error) {
	st, err := store.OpenRead(dir)
	if err != nil {
		return 0, err
	}
	defer st.Close()
	for a, err := range st.Attempts(ctx) {
		if err != nil {
			return n, err
		}
		if !a.State.Final() && a.State != scheduler.AttemptUncertain {
			n++
		}
	}
	return n, nil
}

// cancelJobs opens the batch as it was started, and cancels its jobs.
func (e *Env) cancelJobs(ctx context.Context, dir string, wait time.Duration) (sum scheduler.Summary, err error) {
	file, f, err := e.restore(dir)
	if err != nil {
		return sum, err
	}
	plan, err := e.compile(ctx, file, &f.batchFlags, true)
	if err != nil {
		return sum, err
	}
	b, err := e.open(plan, file, f)
	if err != nil {
		return sum, err
	}
	defer b.Close()
	opts := b.Options()
	opts.Grace = wait
	sum, err = b.Cancel(ctx, opts)
	if shown := b.WriteGallery(context.WithoutCancel(ctx), render.GalleryOptions{}); shown != nil && err == nil {
		err = shown
	}
	if err != nil {
		return sum, exitf(exitIncomplete, "%v", err)
	}
	return sum, nil
}
