package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// cmdResume starts from run.json, not from the command line: endpoints, seed and overrides are those of the last `render`. Its
// exit codes are those of `render`.
func cmdResume(env *Env) *cobra.Command {
	var again goOn
	cmd := &cobra.Command{
		Use:   "resume DIR or ID",
		Short: "go on with the batch of a run directory, as it was started",
		Long: `Renders the batch of a run directory with the arguments of its last start. What is done stays, jobs that are on endpoints are collected.
The run is named by its directory, or by its id or the beginning of it, from anywhere; comfyc status lists the runs.`,
		Example: "  comfyc resume out\n  comfyc resume k3f9ab2c --resubmit-uncertain",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return env.goOn(cmd.Context(), args[0], again) },
	}
	again.register(cmd)
	return cmd
}

// cmdRetry is resume plus one promise: failed renders get all their attempts again. --failed is required, so that the words say
// what will be paid for again.
func cmdRetry(env *Env) *cobra.Command {
	var again goOn
	cmd := &cobra.Command{
		Use:     "retry --failed DIR or ID",
		Short:   "go on with the batch of a run directory, and try again what failed",
		Example: "  comfyc retry --failed out",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !again.failed {
				return exitf(exitUsage, "say what to try again: comfyc retry --failed %s", args[0])
			}
			return env.goOn(cmd.Context(), args[0], again)
		},
	}
	cmd.Flags().BoolVar(&again.failed, "failed", false, "try the renders again that failed, with all their attempts anew")
	again.register(cmd)
	return cmd
}

// goOn is how a batch is gone on with, besides what its record says.
type goOn struct {
	failed, resubmit, json, verbose bool    // not kept in run.json: they hold for this run only
	maxCost                         float64 // USD; 0 keeps what was said at the start. A new sum is kept for the next resume
}

func (g *goOn) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&g.resubmit, "resubmit-uncertain", false, "send renders again whose submission's answer was lost, at the risk of paying twice")
	cmd.Flags().Float64Var(&g.maxCost, "max-cost", 0, "stop before more than this many `USD` are spent, instead of what was said at the start")
	cmd.Flags().BoolVarP(&g.verbose, "verbose", "v", false, "print remarks too")
	cmd.Flags().BoolVar(&g.json, "json", false, "print events as JSON lines")
}

// goOn renders the batch of a run directory as it was started.
// The batch is compiled anew, so an edited batch goes on with what still fits it: finished renders whose resolved graph is
// unchanged stay.
func (e *Env) goOn(ctx context.Context, arg string, g goOn) error {
	dir, err := e.find(arg)
	if err != nil {
		return err
	}
	file, f, err := e.restore(dir)
	if err != nil {
		return err
	}
	if !exists(file) {
		return exitf(exitInput, "%s was started from %s, which is not there any more", dir, file)
	}
	f.retryFailed, f.resubmit, f.json, f.verbose = g.failed, g.resubmit, g.json, g.verbose
	if g.maxCost > 0 {
		f.maxCost = g.maxCost
		// As if --max-cost had stood on the first command line: run.json takes it over.
		if err := f.flags.Set("max-cost", fmt.Sprint(g.maxCost)); err != nil {
			return exitf(exitUsage, "--max-cost: %v", err)
		}
	}
	return e.render(ctx, file, f)
}

// restore reads how the batch of a run directory was started.
// The file it gives need not exist any more; cancel can do without it, resume cannot.
func (e *Env) restore(dir string) (file string, f *renderFlags, err error) {
	r, err := readRecord(dir)
	// Without a record the batch can still be rendered by its file.
	if errors.Is(err, errNoRecord) {
		return "", nil, exitf(exitInput, "%s: %v; run comfyc render with the batch's file", dir, err)
	} else if err != nil {
		return "", nil, exitf(exitInput, "%s: %v", dir, err)
	}
	if file, f, err = r.restore(dir); err != nil {
		return "", nil, exitf(exitInput, "%s: what it says of its start cannot be used: %v", dir, err)
	}
	f.dir = dir // the directory as it is named now; it may have moved since
	return file, f, nil
}
