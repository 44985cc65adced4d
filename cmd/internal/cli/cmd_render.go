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
	"github.com/spf13/pflag"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render/run"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect"
	"github.com/comfyc/comfyc/scheduler/store"
)

// renderFlags are the flags of `comfyc render`.
// They are also what is kept in run.json, by flag name, so that `resume` starts the batch with the same words.
type renderFlags struct {
	batchFlags                  // endpoints, seed, cache and what else a plan depends on
	gallery                     galleryFlags
	resubmit, retryFailed, json bool           // each for this one run; none is kept in run.json
	allowHosts                  []string       // of --allow-host: private hosts that the webhook may call
	flags                       *pflag.FlagSet // that were given
	dir                         string         // the run directory, where it is not the batch that says it
}

// cmdRender ends with 0 only if every render is done. 3 is "not all": failed, held, stopped by budget, deadline or drain. The
// other codes are as everywhere.
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
	f.registerAll(cmd)
	return cmd
}

// registerAll makes the flags of a command that renders.
func (f *renderFlags) registerAll(cmd *cobra.Command) {
	f.register(cmd)
	f.flags = cmd.Flags()
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "print remarks too, such as what is not sent")
	cmd.Flags().BoolVar(&f.resubmit, "resubmit-uncertain", false, "send renders again whose submission's answer was lost, at the risk of paying twice")
	cmd.Flags().BoolVar(&f.retryFailed, "retry-failed", false, "try renders again that failed in an earlier run")
	cmd.Flags().StringArrayVar(&f.allowHosts, "allow-host", nil, "let the batch's webhook call this private `HOST`")
	cmd.Flags().BoolVar(&f.json, "json", false, "print events as JSON lines")
	f.gallery.register(cmd)
}

// render goes from what costs nothing to what costs: compile, webhook's secret, theme, endpoints, then the run. Each step may
// end the command before a job is submitted.
func (e *Env) render(ctx context.Context, file string, f *renderFlags) error {
	plan, err := e.compile(ctx, file, &f.batchFlags, true)
	if err != nil {
		return err
	}
	// Before any money is spent: a missing secret would otherwise show when the batch has ended.
	tell, err := e.notification(plan.Batch().Notify, f.allowHosts)
	if err != nil {
		return err
	}
	page, err := f.gallery.options(plan)
	if err != nil {
		return err
	}
	// From here on the run directory is locked for this process; Close frees it.
	b, err := e.open(plan, file, f)
	if err != nil {
		return err
	}
	defer b.Close()
	pause, leave, err := e.watch(ctx, b, &f.gallery, page)
	if err != nil {
		return err
	}
	defer leave()
	// Written before the run, so that a crash in the middle leaves a directory that `resume` understands.
	id := e.remember(b.Dir(), recordOf(b.Dir(), file, plan.Name(), f, f.flags))
	opts := b.Options()
	opts.ResubmitUncertain, opts.RetryFailed = f.resubmit, f.retryFailed
	p := newProgress(e, f.json, plan.Len())
	opts.OnEvent = p.Event
	learned := e.speeds(&opts)
	if e.drain != nil { // nil only in tests that call this method
		opts.Control = &e.drain.control
		e.drain.on.Store(true) // from now on the first SIGTERM drains instead of interrupting
	}
	summary, err := b.Run(ctx, opts)
	learned() // speeds are kept of runs that failed, too
	p.Close() // the bar must be gone before anything else is printed
	pause()   // and the page's writer idle before the last page is written
	// ConfigError is the input's fault though the scheduler found it: a budget with an unknown price, for example.
	var wrong *scheduler.ConfigError
	if errors.As(err, &wrong) {
		return exitf(exitInput, "%s [%s]", wrong.Message, wrong.Code)
	}
	// Written also after Ctrl-C, hence the context without cancellation: the page is what shows how far it came.
	if shown := b.WriteGallery(context.WithoutCancel(ctx), page); shown != nil && err == nil {
		err = shown
	}
	// A bucket that does not answer fails the command only if nothing else did.
	published := e.publish(ctx, b)
	if tell != nil {
		tell.send(context.WithoutCancel(ctx), e, summaryLine(b, summary, b.Page())) // an interrupted batch has ended too, and is told
	}
	if err := e.finish(file, id, b, f, summary, err); err != nil {
		return err
	}
	return published
}

// open opens a batch's endpoints and run directory, and turns what is wrong with them into the command's findings and exit codes.
// The directory comes from the record (resume) or from output.dir. What the order of the cases says: findings print with
// places, a lock names its holder, a remote's error explains itself.
func (e *Env) open(plan *compiler.Plan, file string, f *renderFlags) (*run.Batch, error) {
	kept, bytes, err := e.openCache(f.cache.where)
	if err != nil {
		return nil, err
	}
	allow := allowedKeys(f.allowKeys)
	// Inputs are read relative to the batch file.
	b, err := run.Open(plan, run.Options{Dir: orElse(f.dir, runDir(file, plan)), Base: filepath.Dir(file), Now: e.Now, File: file, Bucket: run.OwnBucket(e.Getenv, allow),
		Cache: kept, CacheBytes: bytes, NoReuse: f.cache.noReuse,
		Dialect: dialect.Deps{Getenv: e.Getenv, AllowKeys: allow}})
	var wrong *run.FindingsError
	var locked *store.LockedError
	var remote *scheduler.Error
	switch {
	case errors.As(err, &wrong):
		return nil, e.failed(wrong.Findings)
	case errors.As(err, &locked):
		// The error names process, machine and time of the holder.
		return nil, exitf(exitInput, "%v\nWait for it, or stop it (comfyc cancel %s); two runs cannot share a folder.", locked, orElse(f.dir, runDir(file, plan)))
	case errors.As(err, &remote):
		return nil, exitf(exitInput, "%v", err)
	case err != nil:
		return nil, exitf(exitInput, "open the run directory: %v", err)
	}
	return b, nil
}

// finish says how the run ended and chooses the exit code.
// stdout gets one thing: the path of the gallery, or the line {"summary": …}. Everything else is for people and goes to stderr.
// Held and failed renders are 3; no usable endpoint is 4, whatever else happened.
func (e *Env) finish(file, id string, b *run.Batch, f *renderFlags, summary scheduler.Summary, err error) error {
	page := b.Page()
	if f.json {
		_ = json.NewEncoder(e.Stdout).Encode(map[string]any{"summary": summaryLine(b, summary, page)})
	} else {
		fmt.Fprintln(e.Stdout, page)
	}
	e.report(file, b, summary)
	if trouble := b.CacheTrouble(); trouble != nil {
		fmt.Fprintf(e.Stderr, "comfyc: warning: %v\n", trouble)
	}
	var unusable *scheduler.UnusableError
	switch {
	case errors.As(err, &unusable):
		// "No endpoint is usable" is only said when nothing more could be submitted anywhere; what was done before stays done.
		return exitf(exitNoEndpoint, "%v", err)
	case err != nil:
		return exitf(exitIncomplete, "%v\nWhat is done is kept. Run the same command again to go on.", err)
	case summary.Stopped == scheduler.StopInterrupted:
		// 130, also if the last render ended while it stopped.
		return exitf(exitInterrupted, "%s; run the same command again to go on, or: comfyc resume %s", interruptedBy(b), id)
	case !summary.AllDone(): // waiting, failed, held or cancelled ones are left
		return silent(exitIncomplete)
	}
	return nil
}

// interruptedBy says who ended a run.
// Both end with 130: scripts that cancel a batch see the same as at Ctrl-C.
func interruptedBy(b *run.Batch) string {
	if b.WasStopped() {
		return "stopped by comfyc cancel"
	}
	return "interrupted"
}

// summaryLine is the last line of --json.
// It is also the "data" of the webhook. Money is in USD and estimated; "seconds" is wall time of this run; "kept" were done by
// earlier runs, "reused" came from the cache. Counts of states add up to "renders".
func summaryLine(b *run.Batch, s scheduler.Summary, page string) map[string]any {
	return map[string]any{"renders": s.Renders, "done": s.Counts[scheduler.Done], "kept": s.Kept, "reused": s.Reused, "failed": s.Counts[scheduler.RenderFailed],
		"held": s.Counts[scheduler.Held], "cancelled": s.Counts[scheduler.RenderCancelled], "active": s.Counts[scheduler.Active],
		"waiting": s.Counts[scheduler.Waiting], "attempts": s.Attempts, "stopped": s.Stopped, "seconds": s.Elapsed.Seconds(),
		"spent_usd": s.SpentUSD, "stake_usd": s.StakeUSD, "gallery": page,
		"failures": troubleLines(b, s.Failures), "held_renders": troubleLines(b, s.Held), "left_renders": troubleLines(b, s.Left)}
}

// troubleLines are renders that are not done, for --json.
// A JSON list even if it is empty, never null. "index" is the render's place in the plan and counts from 0; "stake_usd" is what
// an uncertain submission may have cost.
func troubleLines(b *run.Batch, list []scheduler.Trouble) []map[string]any {
	out := make([]map[string]any, len(list))
	for i, t := range list {
		out[i] = map[string]any{"index": t.Render, "id": b.Plan().RenderID(t.Render).String(), "code": t.Kind.Code(), "reason": t.Reason,
			"endpoint": t.Endpoint, "remote": t.Remote, "stake_usd": t.StakeUSD}
	}
	return out
}

// report prints the summary for people, with what to do about what is not done.
// Every kind of trouble comes with the command that goes on from there. At most ten renders are listed for each kind.
func (e *Env) report(file string, b *run.Batch, sum scheduler.Summary) {
	w := e.Stderr
	fmt.Fprintf(w, "comfyc: %s\n", sentence(b, sum))
	listTrouble(w, "failed", sum.Failures)
	listTrouble(w, "held", sum.Held)
	if n := len(sum.Held); n > 0 {
		fmt.Fprintf(w, "comfyc: the answer to %s was lost, so %s may have been paid for (%s). Look at the endpoint's list of jobs; to send %s again: comfyc render %s --resubmit-uncertain\n",
			count(n, "submission"), map[bool]string{true: "it", false: "they"}[n == 1], stake(sum), map[bool]string{true: "it", false: "them"}[n == 1], file)
	}
	if len(sum.Failures) > 0 {
		fmt.Fprintf(w, "comfyc: to try what failed again: comfyc render %s --retry-failed\n", file)
	}
	switch sum.Stopped { // why no more was submitted; "" if all was
	case scheduler.StopDrained:
		fmt.Fprintln(w, "comfyc: stopped as asked; run the same command again to go on")
	case scheduler.StopBudget:
		fmt.Fprintln(w, "comfyc: stopped: the next job could break the budget; raise schedule.budget or --max-cost to go on")
	case scheduler.StopDeadline:
		fmt.Fprintln(w, "comfyc: stopped: the deadline has passed")
	case scheduler.StopFailFast:
		fmt.Fprintln(w, "comfyc: stopped at the first failure, as schedule.fail-fast says")
	}
}

// sentence sums a run up.
func sentence(of *run.Batch, sum scheduler.Summary) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %s done", sum.Counts[scheduler.Done], count(sum.Renders, "render"))
	if sum.Kept > 0 {
		fmt.Fprintf(&b, ", %d of them by earlier runs", sum.Kept)
	}
	if sum.Reused > 0 {
		fmt.Fprintf(&b, ", %d taken from the cache", sum.Reused)
	}
	fmt.Fprintf(&b, ", in %s", sum.Elapsed.Round(10*time.Millisecond))
	if of.Previewing() {
		b.WriteString(", on the preview endpoint (nothing was paid, pictures of models are drawn)")
	} else if sum.SpentUSD > 0 || !sum.Unpriced {
		b.WriteString(", about " + dollars(sum.SpentUSD))
	}
	if sum.Unpriced && !of.Previewing() {
		b.WriteString(", plus attempts whose price is not known")
	}
	return b.String()
}

// stake is the money of uncertain submissions.
// Uncertain means: the POST was sent, its answer was lost. The sum is an estimate of what such jobs may have cost.
func stake(sum scheduler.Summary) string {
	if sum.StakeUSD > 0 {
		return "about " + dollars(sum.StakeUSD)
	}
	return "the price is not known"
}

// maxListed is how many renders are listed one by one.
// The rest is in manifest.json, which has all of them.
const maxListed = 10

// listTrouble prints one line a render; word is its state. An empty list prints nothing.
func listTrouble(w io.Writer, word string, list []scheduler.Trouble) {
	for i, t := range list {
		if i == maxListed {
			fmt.Fprintf(w, "  … and %d more; manifest.json has all of them\n", len(list)-maxListed)
			return
		}
		fmt.Fprintf(w, "  render %d %s on %s: %s [%s]\n", t.Render, word, orElse(t.Endpoint, "no endpoint"), t.Reason, t.Kind.Code())
	}
}

// count puts a number before a word, in the plural if it is not one.
// It is for English words that take a plain "s".
func count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
