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

// cmdCancel ends with 0 when nothing is left on remotes, with 3 when something could not be cancelled or is held, with 130
// after Ctrl-C.
func cmdCancel(env *Env) *cobra.Command {
	var asJSON bool
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "cancel DIR or ID",
		Short: "stop the batch of a run directory, and cancel its jobs on endpoints",
		Long: `If a process runs the batch, on this machine or on another one that shares the directory, it is asked to stop as at Ctrl-C: it submits nothing more,
cancels its jobs, and collects what is finished. If the process is gone, its jobs are cancelled from here. Nothing is submitted. What is done stays, and
comfyc resume goes on with the rest. A batch that does not compile any more has its jobs cancelled at their endpoints all the same.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := env.find(args[0])
			if err != nil {
				return err
			}
			// First the process, if there is one: while it holds the lock, only it may write the state. What it leaves, this
			// command cancels itself.
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
// The process looks every quarter of a second whether it is asked; asking more often would only spend its disk.
const askEvery = 200 * time.Millisecond

// stopRunning asks the process that has a run directory to stop, and waits until it has. The lock is asked and not the process's number: the system
// frees it when the process ends, however that happens.
// wait is how long it may take. The request is a file in the run directory, so that it also reaches a process on another
// machine.
func (e *Env) stopRunning(ctx context.Context, dir string, wait time.Duration) error {
	var holder *store.LockedError // who had the lock when we first looked: said once
	for until := e.Now().Add(wait); ; {
		st, err := store.Open(dir)
		var locked *store.LockedError // of this look: it may be another process by now
		switch {
		case err == nil:
			return st.Close() // nobody runs it; holding the lock would only be in our own way
		case !errors.As(err, &locked):
			return exitf(exitInput, "%v", err)
		case holder == nil:
			holder = locked
			fmt.Fprintf(e.Stderr, "comfyc: %v; it is asked to stop\n", locked)
		}
		// Asked again each time: a run that started meanwhile would have removed the request of the one before it.
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
// It needs the lock that stopRunning saw free; a run that starts in between wins, and the batch is then reported as locked.
func (e *Env) cancelLeft(ctx context.Context, dir string, asJSON bool, wait time.Duration) error {
	open, err := openJobs(ctx, dir)
	if err != nil {
		return exitf(exitInput, "%v", err)
	}
	var sum scheduler.Summary
	if open > 0 { // nothing open means no call at all, not even the compiling of the batch
		if sum, err = e.cancelJobs(ctx, dir, wait); err != nil {
			return err
		}
	}
	// Read again after the cancelling: what is shown is what the state says now.
	s, err := readStatus(ctx, dir)
	if err != nil {
		return err
	}
	if err := s.show(e, asJSON); err != nil {
		return err
	}
	listTrouble(e.Stderr, "left", sum.Left)
	if len(sum.Left) > 0 || s.Counts["held"] > 0 {
		return silent(exitIncomplete)
	}
	return nil
}

// openJobs counts the jobs of a run directory that may be on remotes.
// Uncertain ones are left out: without a remote id nobody can cancel them, and `render --resubmit-uncertain` decides about
// them.
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
// It compiles with run set, because keys are needed to cancel. If the batch does not compile any more, cancelBlind goes without
// it.
func (e *Env) cancelJobs(ctx context.Context, dir string, wait time.Duration) (sum scheduler.Summary, err error) {
	file, f, err := e.restore(dir)
	if err != nil {
		return sum, err
	}
	plan, err := e.compile(ctx, file, &f.batchFlags, true)
	if err != nil {
		return sum, e.cancelBlind(ctx, dir, file, &f.batchFlags, wait)
	}
	b, err := e.open(plan, file, f)
	if err != nil {
		return sum, err
	}
	defer b.Close()
	opts := b.Options()
	opts.Grace = wait // after this, jobs that did not say that they ended are listed as left
	sum, err = b.Cancel(ctx, opts)
	// Written in any case, also after Ctrl-C: the page must say what is cancelled. The first error counts.
	if shown := b.WriteGallery(context.WithoutCancel(ctx), render.GalleryOptions{}); shown != nil && err == nil {
		err = shown
	}
	if err != nil {
		return sum, exitf(exitIncomplete, "%v", err)
	}
	return sum, nil
}
