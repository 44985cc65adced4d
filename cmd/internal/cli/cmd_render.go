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
type renderFlags struct {
	batchFlags
	gallery                     galleryFlags
	resubmit, retryFailed, json bool
	allowHosts                  []string
	flags                       *pflag.FlagSet // that were given
	dir                         string         // the run directory, where it is not the batch that says it
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

func (e *Env) render(ctx context.Context, file string, f *renderFlags) error {
	plan, err := e.compile(ctx, file, &f.batchFlags, true)
	if err != nil {
		return err
	}
	tell, err := e.notification(plan.Batch().Notify, f.allowHosts)
	if err != nil {
		return err
	}
	page, err := f.gallery.options(plan)
	if err != nil {
		return err
	}
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
	id := e.remember(b.Dir(), recordOf(b.Dir(), file, plan.Name(), f, f.flags))
	opts := b.Options()
	opts.ResubmitUncertain, opts.RetryFailed = f.resubmit, f.retryFailed
	p := newProgress(e, f.json, plan.Len())
	opts.OnEvent = p.Event
	learned := e.speeds(&opts)
	if e.drain != nil {
		opts.Control = &e.drain.control
		e.drain.on.Store(true)
	}
	summary, err := b.Run(ctx, opts)
	learned()
	p.Close()
	pause()
	var wrong *scheduler.ConfigError
	if errors.As(err, &wrong) {
		return exitf(exitInput, "%s [%s]", wrong.Message, wrong.Code)
	}
	if shown := b.WriteGallery(context.WithoutCancel(ctx), page); shown != nil && err == nil {
		err = shown
	}
	published := e.publish(ctx, b)
	if tell != nil {
		tell.send(context.WithoutCancel(ctx), e, summaryLine(b, summary, b.Page()))
	}
	if err := e.finish(file, id, b, f, summary, err); err != nil {
		return err
	}
	return published
}

// open opens a batch's endpoints and run directory, and turns what is wrong with them into the command's findings and exit codes.
func (e *Env) open(plan *compiler.Plan, file string, f *renderFlags) (*run.Batch, error) {
	kept, bytes, err := e.openCache(f.cache.where)
	if err != nil {
		return nil, err
	}
	allow := allowedKeys(f.allowKeys)
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
		return nil, exitf(exitInput, "%v\nWait for it, or stop it (comfyc cancel %s); two runs cannot share a folder.", locked, orElse(f.dir, runDir(file, plan)))
	case errors.As(err, &remote):
		return nil, exitf(exitInput, "%v", err)
	case err != nil:
		return nil, exitf(exitInput, "open the run directory: %v", err)
	}
	return b, nil
}

// finish says how the run ended and chooses the exit code.
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
		return exitf(exitNoEndpoint, "%v", err)
	case err != nil:
		return exitf(exitIncomplete, "%v\nWhat is done is kept. Run the same command again to go on.", err)
	case summary.Stopped == scheduler.StopInterrupted:
		return exitf(exitInterrupted, "%s; run the same command again to go on, or: comfyc resume %s", interruptedBy(b), id)
	case !summary.AllDone():
		return silent(exitIncomplete)
	}
	return nil
}

// interruptedBy says who ended a run.
func interruptedBy(b *run.Batch) string {
	if b.WasStopped() {
		return "stopped by comfyc cancel"
	}
	return "interrupted"
}

// summaryLine is the last line of --json.
func summaryLine(b *run.Batch, s scheduler.Summary, page string) map[string]any {
	return map[string]any{"renders": s.Renders, "done": s.Counts[scheduler.Done], "kept": s.Kept, "reused": s.Reused, "failed": s.Counts[scheduler.RenderFailed],
		"held": s.Counts[scheduler.Held], "cancelled": s.Counts[scheduler.RenderCancelled], "active": s.Counts[scheduler.Active],
		"waiting": s.Counts[scheduler.Waiting], "attempts": s.Attempts, "stopped": s.Stopped, "seconds": s.Elapsed.Seconds(),
		"spent_usd": s.SpentUSD, "stake_usd": s.StakeUSD, "gallery": page,
		"failures": troubleLines(b, s.Failures), "held_renders": troubleLines(b, s.Held), "left_renders": troubleLines(b, s.Left)}
}

// troubleLines are renders that are not done, for --json.
func troubleLines(b *run.Batch, list []scheduler.Trouble) []map[string]any {
	out := make([]map[string]any, len(list))
	for i, t := range list {
		out[i] = map[string]any{"index": t.Render, "id": b.Plan().RenderID(t.Render).String(), "code": t.Kind.Code(), "reason": t.Reason,
			"endpoint": t.Endpoint, "remote": t.Remote, "stake_usd": t.StakeUSD}
	}
	return out
}

// report prints the summary for people, with what to do about what is not done.
func (e *Env) report(file string, b *run.Batch, sum scheduler.Summary) {
	w := e.Stderr
	fmt.Fprintf(w, "comfyc: %s\n", sentence(b, sum))
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
