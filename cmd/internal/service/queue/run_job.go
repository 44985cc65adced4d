package queue

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/cmd/internal/service/outgoing"
	"github.com/comfyc/comfyc/compiler/filename"
	"github.com/comfyc/comfyc/render/run"
	"github.com/comfyc/comfyc/scheduler"
)

// JobResult is what came of a job. It is kept as JSON in its row.
// Members are only ever added: rows of earlier versions stay readable.
type JobResult struct {
	Files    []JobFile `json:"files,omitempty"`
	Endpoint string    `json:"endpoint,omitempty"` // the endpoint that did it
	Worker   string    `json:"worker,omitempty"`   // of that endpoint, if it said so
	Seconds  float64   `json:"seconds,omitempty"`  // of execution
	Code     string    `json:"code,omitempty"`     // of the failure, for `comfyc explain`
	Details  []string  `json:"details,omitempty"`  // findings, one line each
}

// JobFile is one output of a job.
type JobFile struct {
	Node     string `json:"node"`     // id of the output node in the client's workflow
	Filename string `json:"filename"` // as ComfyUI would have named it
	Path     string `json:"path"`     // below the job's run directory
	Type     string `json:"type"`     // media type
	Bytes    int64  `json:"bytes"`
	URL      string `json:"url,omitempty"` // where it was put, if the client gave a bucket
}

// jobRetries is how often a job is tried again elsewhere after trouble that is not its own.
// RunPod's own retries are not counted: these are new submissions. A job with a time-out of its own has none.
const jobRetries = 2

// errExpired is the cause when a job's time to live is over.
// The job's deadline (policy.ttl) counts from its submit, waiting included.
var errExpired = errors.New("its time to live is over")

// runJob does a job, or goes on with it.
// A job is a batch of one render with its state in the ledger instead of a file; otherwise it runs as a batch does.
func (q *Queue) runJob(lv *live, r *Request, sealed []byte) ending {
	secrets, err := q.openSecrets(lv.id, sealed)
	if err != nil {
		return ending{state: ledger.Failed, err: err.Error()}
	}
	files := q.tree(lv.id, r)
	plan, findings := q.compile(lv.ctx, r, files)
	if plan == nil {
		return q.interrupted(lv, ending{state: ledger.Failed, err: firstError(findings)})
	}
	work := lv.row()
	// What an earlier turn of this job has done: after a crash, the remote id is in here.
	state, err := q.Ledger.JobState(context.Background(), work)
	if err != nil {
		return ending{state: ledger.Failed, err: err.Error()}
	}
	deps := q.deps(files)
	// The client's own key goes into the body that is sent, on its way out, so it never stands in a plan or a state.
	if secrets.ComfyOrgKey != "" {
		deps.Transport = &keyed{next: q.transport, key: secrets.ComfyOrgKey}
	}
	b, err := run.Open(plan, run.Options{Dir: q.OutDir(lv.id), FS: files, Dialect: deps, Depot: q.depot(lv.id, outFolder), Store: state, Now: q.Now})
	if err != nil {
		return ending{state: ledger.Failed, err: err.Error()}
	}
	defer b.Close()
	opts := b.Options()
	opts.OnEvent = func(e scheduler.Event) { q.event(lv, e) }
	opts.LeaveOnInterrupt, opts.Retries, opts.Fuse = true, jobRetries, 1      // one render cannot be fused with anything
	opts.RetryFailed, opts.ResubmitUncertain = work.Turns > 0, work.Turns > 0 // a retry of a job means both
	if p := q.pools[work.Pool]; p != nil {
		opts.Objective, opts.Timeout = p.Objective, p.Timeout
	}
	// The place on the endpoint is traded with other replicas; if the service stops while the remote job runs, its place is
	// kept.
	if q.shares != nil && !b.Previewing() { // a preview endpoint is each replica's own
		share := q.shares.join()
		defer func() { share.leave(context.Cause(lv.ctx) == errShutdown) }()
		opts.Shares, opts.MaxParallel = share, 1
	}
	if q.Ledger.Shared() {
		opts.Fence = q.fence // no submit after this replica was silent for long
	}
	if r.Job.Timeout > 0 { // one that takes too long would do so again
		opts.Timeout, opts.Retries = r.Job.Timeout, 0
	}
	// For a job "nothing left of the budget" is a failure, since nobody goes on with it.
	if end, ok := q.allow(lv, plan, &opts); !ok {
		end.state = ledger.Failed
		return end
	}
	if r.Job.Deadline > 0 { // time that passed before a restart counts
		alarm := time.AfterFunc(work.Created.Add(r.Job.Deadline).Sub(q.Now()), func() { lv.stop(errExpired) })
		defer alarm.Stop()
	}
	// The outputs are in the run directory when it returns without an error.
	summary, err := q.runUntil(lv, &opts, func(ctx context.Context) (scheduler.Summary, error) { return b.Run(ctx, opts) })
	end := q.jobEnding(lv, r, b, summary, err)
	if end.state == ledger.Done && secrets.Bucket != nil {
		// Outputs that cannot be put into the client's bucket fail the job, though it was paid.
		if err := q.putAll(lv, secrets.Bucket, end.result.(*JobResult)); err != nil {
			end.state, end.err = ledger.Failed, err.Error()
		}
	}
	return q.interrupted(lv, end)
}

// jobEnding says how a job's run ended.
// Records of the state tell what was done; the summary tells why not. Of several reasons the last one stands in the error.
func (q *Queue) jobEnding(lv *live, r *Request, b *run.Batch, s scheduler.Summary, err error) ending {
	result := &JobResult{}
	end := ending{state: ledger.Failed, result: result, spent: s.SpentUSD}
	for rec, rerr := range b.Store().Records(context.Background()) {
		if rerr != nil {
			end.err = rerr.Error()
			return end
		}
		result.Endpoint, result.Worker, result.Seconds = rec.Endpoint, rec.Worker, rec.Seconds
		if rec.State == scheduler.Done {
			result.Files = append(result.Files, nameFiles(rec.Files, r.Job.Prefixes)...)
		}
	}
	if s.AllDone() {
		end.state = ledger.Done
		return end
	}
	end.err = "it did not finish"
	for _, list := range [][]scheduler.Trouble{s.Failures, s.Held} {
		for _, t := range list {
			end.err, result.Code = t.Reason, t.Kind.Code()
		}
	}
	if len(s.Held) > 0 {
		end.err = "the answer to its submission was lost, so it may have been paid for; retry it to send it again: " + end.err
	}
	if err != nil {
		end.err = err.Error()
	}
	// The endpoint's own time is what shows that the policy stopped it.
	timedOut := r.Job.Timeout > 0 && result.Seconds >= r.Job.Timeout.Seconds() && result.Seconds > 0
	if timedOut || errors.Is(context.Cause(lv.ctx), errExpired) {
		end.state, end.err = ledger.TimedOut, "it took longer than its policy allows"
	}
	return end
}

// nameFiles gives a job's outputs the names that ComfyUI would have given them in an empty folder.
// ComfyUI counts files by prefix from 1: "ComfyUI_00001_.png". The names are for the client only; on disk they are others.
func nameFiles(files []scheduler.FileRecord, prefixes map[string]string) (out []JobFile) {
	counts := map[string]int{}
	for _, f := range files {
		prefix := safePrefix(prefixes[f.Node])
		counts[prefix]++
		ext := filepath.Ext(f.Path)
		out = append(out, JobFile{Node: f.Node, Filename: fmt.Sprintf("%s_%05d_%s", prefix, counts[prefix], ext), Path: f.Path, Type: f.Type, Bytes: f.Bytes})
	}
	return out
}

// safePrefix makes a client's filename_prefix fit for a name: the last part of a path, without what file systems or headers dislike.
// "../../etc/x" becomes "x"; an empty one ComfyUI's default.
func safePrefix(prefix string) string {
	if i := strings.LastIndexAny(prefix, `/\`); i >= 0 {
		prefix = prefix[i+1:]
	}
	if prefix = filename.Safe(prefix); prefix == "" {
		return "ComfyUI"
	}
	return prefix
}

// told owes the webhook of a work that has ended, if it has one.
// The message's id holds the turn, so a retried work sends a new message and a repeated call of this does not. Trouble is
// logged: the work has ended all the same.
func (q *Queue) told(w ledger.Work) {
	ctx := context.Background()
	_, sealed, err := q.Ledger.Request(ctx, w.ID)
	if err != nil || len(sealed) == 0 { // no secrets: no webhook either
		return
	}
	secrets, err := q.openSecrets(w.ID, sealed)
	if err != nil || secrets.Webhook == "" {
		return
	}
	// The event is for example "batch.done" or "runpod.failed".
	hook := outgoing.Hook{ID: fmt.Sprintf("msg_%s_%d", w.ID, w.Turns), Work: w.ID, Owner: w.Owner, Event: w.Kind + "." + string(w.State), URL: secrets.Webhook, Body: q.payload(w)}
	if err := q.Courier.Owe(ctx, hook); err != nil {
		q.Log.Error("a webhook cannot be noted", "work", w.ID, "error", err)
	}
}
