package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/scheduler"
)

// renderFlags are the flags of `comfyc render`.
type renderFlags struct {
	batchFlags
	resubmit, retryFailed, json bool
}

func cmdRender(env *Env) *cobra.Command {
	var f renderFlags
	cmd := &cobra.Command{
		Use:   "render BATCH",
		Short: "render a batch: submit what is not done yet, collect the pictures, write the gallery",
		Long: `Renders a batch. Run again, it goes on where it stopped: nothing that is finished is rendered again, and jobs that are still
on an endpoint are collected, not submitted anew.

Ctrl-C once stops submitting, cancels what can be cancelled and keeps what is done; twice leaves now.

On stdout stands the path of the gallery, or with --json one line for each event and a summary at the end.`,
		Example: "  comfyc render examples/flux-dev/batch.yaml\n  comfyc render batch.yaml --endpoint novita-4090 --max-cost 5",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return env.render(cmd.Context(), args[0], &f) },
	}
	f.register(cmd)
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "print remarks too, such as what is not sent")
	cmd.Flags().BoolVar(&f.resubmit, "resubmit-uncertain", false, "send renders again whose submission's answer was lost, at the risk of paying twice")
	cmd.Flags().BoolVar(&f.retryFailed, "retry-failed", false, "try renders again that failed in an earlier run")
	cmd.Flags().BoolVar(&f.json, "json", false, "print events as JSON lines")
	return cmd
}

func (e *Env) render(ctx context.Context, file string, f *renderFlags) error {
	plan, err := e.compile(ctx, file, &f.batchFlags, true)
	if err != nil {
		return err
	}
	if findings := unsupported(plan); len(findings) > 0 {
		return e.failed(findings)
	}
	recipe, findings := postRecipe(plan, filepath.Dir(file))
	if len(findings) > 0 {
		return e.failed(findings)
	}
	s, err := openSession(e, plan, recipe, runDir(file, plan), f.allowKeys)
	if err != nil {
		return err
	}
	defer s.close()
	opts := s.options()
	opts.ResubmitUncertain, opts.RetryFailed = f.resubmit, f.retryFailed
	p := newProgress(e, f.json, plan.Len())
	opts.OnEvent = p.Event
	summary, err := s.run(ctx, opts)
	p.Close()
	var wrong *scheduler.ConfigError
	if errors.As(err, &wrong) {
		return exitf(exitInput, "%s [%s]", wrong.Message, wrong.Code)
	}
	if shown := s.writeGallery(context.WithoutCancel(ctx)); shown != nil && err == nil {
		err = shown
	}
	return e.finish(file, s, f, summary, err)
}

// finish says how the run ended and chooses the exit code.
func (e *Env) finish(file string, s *session, f *renderFlags, summary scheduler.Summary, err error) error {
	page := filepath.Join(s.dir, "index.html")
	if f.json {
		_ = json.NewEncoder(e.Stdout).Encode(map[string]any{"summary": summaryLine(s, summary, page)})
	} else {
		fmt.Fprintln(e.Stdout, page)
	}
	e.report(file, s, summary)
	var unusable *scheduler.UnusableError
	switch {
	case errors.As(err, &unusable):
		return exitf(exitNoEndpoint, "%v", err)
	case err != nil:
		return exitf(exitIncomplete, "%v\nWhat is done is kept. Run the same command again to go on.", err)
	case summary.Stopped == scheduler.StopInterrupted:
		return exitf(exitInterrupted, "interrupted; run the same command again to go on")
	case !summary.AllDone():
		return silent(exitIncomplete)
	}
	return nil
}

// summaryLine is the last line of --json.
func summaryLine(run *session, s scheduler.Summary, page string) map[string]any {
	return map[string]any{"renders": s.Renders, "done": s.Counts[scheduler.Done], "kept": s.Kept, "failed": s.Counts[scheduler.RenderFailed],
		"held": s.Counts[scheduler.Held], "cancelled": s.Counts[scheduler.RenderCancelled], "active": s.Counts[scheduler.Active],
		"waiting": s.Counts[scheduler.Waiting], "attempts": s.Attempts, "stopped": s.Stopped, "seconds": s.Elapsed.Seconds(),
		"spent_usd": s.SpentUSD, "stake_usd": s.StakeUSD, "gallery": page,
		"failures": troubleLines(run, s.Failures), "held_renders": troubleLines(run, s.Held), "left_renders": troubleLines(run, s.Left)}
}

// troubleLines are renders that are not done, for --json.
func troubleLines(run *session, list []scheduler.Trouble) []map[string]any {
	out := make([]map[string]any, len(list))
	for i, t := range list {
		out[i] = map[string]any{"index": t.Render, "id": run.plan.RenderID(t.Render).String(), "code": t.Kind.Code(), "reason": t.Reason,
			"endpoint": t.Endpoint, "remote": t.Remote, "stake_usd": t.StakeUSD}
	}
	return out
}

// report prints the summary for people, with what to do about what is not done.
func (e *Env) report(file string, s *session, sum scheduler.Summary) {
	w := e.Stderr
	fmt.Fprintf(w, "comfyc: %s\n", sentence(s, sum))
	listTrouble(w, "failed", sum.Failures, "")
	listTrouble(w, "held", sum.Held, "")
	if n := len(sum.Held); n > 0 {
		fmt.Fprintf(w, "comfyc: the answer to %s was lost, so %s may have been paid for (%s). Look at the endpoint's list of jobs; to send %s again: comfyc render %s --resubmit-uncertain\n",
			count(n, "submission"), map[bool]string{true: "it", false: "they"}[n == 1], stake(sum), map[bool]string{true: "it", false: "them"}[n == 1], file)
	}
	if len(sum.Failures) > 0 {
		fmt.Fprintf(w, "comfyc: to try what failed again: comfyc render %s --retry-failed\n", file)
	}
	switch sum.Stopped {
	case scheduler.StopBudget:
		fmt.Fprintln(w, "comfyc: stopped: the next job could break the budget; raise schedule.budget or --max-cost to go on")
	case scheduler.StopDeadline:
		fmt.Fprintln(w, "comfyc: stopped: the deadline has passed")
	case scheduler.StopFailFast:
		fmt.Fprintln(w, "comfyc: stopped at the first failure, as schedule.fail-fast says")
	}
}

// sentence sums a run up.
func sentence(s *session, sum scheduler.Summary) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %s done", sum.Counts[scheduler.Done], count(sum.Renders, "render"))
	if sum.Kept > 0 {
		fmt.Fprintf(&b, ", %d of them by earlier runs", sum.Kept)
	}
	fmt.Fprintf(&b, ", in %s", sum.Elapsed.Round(10*time.Millisecond))
	if s.previewing() {
		b.WriteString(", on the preview endpoint (nothing was paid, pictures of models are drawn)")
	} else if sum.SpentUSD > 0 || !sum.Unpriced {
		b.WriteString(", about " + dollars(sum.SpentUSD))
	}
	if sum.Unpriced && !s.previewing() {
		b.WriteString(", plus attempts whose price is not known")
	}
	return b.String()
}

// stake is the money of uncertain submissions.
func stake(sum scheduler.Summary) string {
	if sum.StakeUSD > 0 {
		return "about " + dollars(sum.StakeUSD)
	}
	return "the price is not known"
}

// maxListed is how many renders are listed one by one.
const maxListed = 10

func listTrouble(w io.Writer, word string, list []scheduler.Trouble, indent string) {
	for i, t := range list {
		if i == maxListed {
			fmt.Fprintf(w, "%s  … and %d more; manifest.json has all of them\n", indent, len(list)-maxListed)
			return
		}
		fmt.Fprintf(w, "%s  render %d %s on %s: %s [%s]\n", indent, t.Render, word, orElse(t.Endpoint, "no endpoint"), t.Reason, t.Kind.Code())
	}
}

// count puts a number before a word, in the plural if it is not one.
func count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
