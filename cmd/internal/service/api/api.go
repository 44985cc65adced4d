package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/cmd/internal/service/outgoing"
	"github.com/comfyc/comfyc/cmd/internal/service/queue"
	"github.com/comfyc/comfyc/cmd/internal/service/seal"
	"github.com/comfyc/comfyc/cmd/internal/service/web"
	"github.com/comfyc/comfyc/cmd/internal/webhook"
	"github.com/comfyc/comfyc/scheduler"
)

// API is the face. All fields are needed.
// It may be copied before its first use only. Handlers run in many goroutines.
type API struct {
	Queue  *queue.Queue
	Ledger *ledger.Ledger
	Ring   *keys.Ring
	Now    func() time.Time

	listeners atomic.Int64 // of events
}

// Base is where the routes are.
// The version is part of the path: a change that breaks clients would be served beside it, under v2.
const Base = "/api/v1"

// compileTime bounds one check or compilation that a client waits for.
// A sweep that takes longer than that is refused rather than holding a connection; the client sees the findings so far, or 422.
const compileTime = 30 * time.Second

// Routes lists the face.
// Routes carry everything that is checked before a handler runs: method, scope of the key, media types and size of the body.
// Test and openapi.json hold the same list.
func (a *API) Routes() []web.Route {
	files := []string{web.JSON, web.YAML, web.Multipart} // bodies that hold a batch or a workflow with its files
	return []web.Route{
		{Method: "POST", Path: Base + "/batches", Scope: keys.Submit, Bodies: files, Handle: a.submit},
		{Method: "GET", Path: Base + "/batches", Scope: keys.Read, Handle: a.list},
		{Method: "GET", Path: Base + "/batches/{id}", Scope: keys.Read, Handle: a.show, Quick: true},
		{Method: "DELETE", Path: Base + "/batches/{id}", Scope: keys.Submit, Handle: a.cancel},
		{Method: "GET", Path: Base + "/batches/{id}/renders", Scope: keys.Read, Handle: a.renders},
		{Method: "GET", Path: Base + "/batches/{id}/events", Scope: keys.Read, Handle: a.events, NoHead: true},
		{Method: "GET", Path: Base + "/batches/{id}/plan", Scope: keys.Read, Handle: a.storedPlan},
		// Answers never hold the address of a webhook, only its host.
		{Method: "GET", Path: Base + "/batches/{id}/deliveries", Scope: keys.Read, Handle: a.deliveries},
		// Its body is one flag.
		{Method: "POST", Path: Base + "/batches/{id}/retry", Scope: keys.Submit, Bodies: []string{web.JSON}, MaxBody: 4096, Handle: a.retry},
		{Method: "GET", Path: Base + "/batches/{id}/gallery/{path:*}", Scope: keys.Read, Handle: a.gallery, Quick: true},
		{Method: "POST", Path: Base + "/check", Scope: keys.Read, Bodies: files, Handle: a.check}, // only reads: nothing is stored or paid
		{Method: "POST", Path: Base + "/convert", Scope: keys.Read, Bodies: files, Handle: a.convert},
		{Method: "POST", Path: Base + "/plan", Scope: keys.Read, Bodies: files, Handle: a.plan},
		{Method: "GET", Path: Base + "/status", Scope: keys.Read, Handle: a.status, Quick: true},
		{Method: "GET", Path: Base + "/audit", Scope: keys.Admin, Handle: a.audit},
		{Method: "GET", Path: Base + "/session", Scope: keys.Read, Handle: a.session, Quick: true},
		// No scope: this is how a browser gets one.
		{Method: "POST", Path: Base + "/login", Bodies: []string{web.JSON}, MaxBody: 4096, Handle: a.login},
		{Method: "POST", Path: Base + "/logout", Bodies: []string{web.JSON}, MaxBody: 4096, Handle: a.logout},
	}
}

// Batch is a batch as clients see it.
// Its members are part of the contract. Money is in USD and estimated, sizes are in bytes, times are RFC 3339 in UTC.
type Batch struct {
	ID       string            `json:"id"` // 32 hex digits, which sort by time
	Name     string            `json:"name"`
	State    ledger.State      `json:"state"`              // waiting, running, done, incomplete, failed or cancelled
	Owner    string            `json:"owner,omitempty"`    // name of the key, for admins
	Priority int               `json:"priority,omitempty"` // higher ones go first
	Renders  int               `json:"renders"`            // 0 until the first compilation has said it
	Created  time.Time         `json:"created"`            // when it was accepted
	Started  *time.Time        `json:"started,omitempty"`  // when its latest turn began
	Finished *time.Time        `json:"finished,omitempty"` // when it ended; absent again after a retry
	Expires  *time.Time        `json:"expires,omitempty"`  // when it and its files are deleted
	Error    string            `json:"error,omitempty"`    // of the whole batch; troubles of renders are in Result
	SpentUSD float64           `json:"spent_usd"`          // all turns together
	Bytes    int64             `json:"bytes,omitempty"`    // of its folder, as of its end
	Retries  int               `json:"retries,omitempty"`  // how often it was retried
	Totals   *scheduler.Totals `json:"totals,omitempty"`   // while it runs
	Result   json.RawMessage   `json:"result,omitempty"`   // once it has ended
	Links    map[string]string `json:"links"`              // paths on this server, without the host
}

// view makes what a client sees of a batch.
// k decides what is shown: the owner's name is for admins. A revoked key is not in the ring any more and shows by its id.
func (a *API) view(k *keys.Key, w ledger.Work) Batch {
	at := Base + "/batches/" + w.ID
	b := Batch{ID: w.ID, Name: w.Name, State: w.State, Priority: w.Priority, Renders: w.Renders, Created: w.Created, Started: some(w.Started), Finished: some(w.Finished),
		Expires: some(w.Expires), Error: w.Error, SpentUSD: w.Spent, Bytes: w.Bytes, Retries: w.Turns,
		Links: map[string]string{"self": at, "renders": at + "/renders", "events": at + "/events", "plan": at + "/plan", "gallery": at + "/gallery/"}}
	if w.Result != "" {
		b.Result = json.RawMessage(w.Result)
	}
	if k.May(keys.Admin) {
		b.Owner = w.Owner
		if owner := a.Ring.ByID(w.Owner); owner != nil {
			b.Owner = owner.Name
		}
	}
	if w.State != ledger.Running {
		return b
	}
	if t, ok := a.Queue.Totals(w.ID); ok {
		// The row's sum is as of the last turn, the totals are as of now; neither goes down for the client.
		b.SpentUSD = max(b.SpentUSD, t.SpentUSD)
		b.Totals, b.Renders = &t, max(b.Renders, t.Waiting+t.Active+t.Done+t.Failed+t.Cancelled+t.Held)
	}
	return b
}

// some gives a time for JSON that leaves zero times out.
// Only pointers are left out by `omitempty`.
func some(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// find gives the batch of a request; ok is false if it was answered with 404.
// A batch of somebody else, a job's id and an id that never was give the same 404, so that nobody can learn which ids exist.
func (a *API) find(c *web.Call) (w ledger.Work, ok bool) {
	id := c.Param("id")
	if len(id) != 32 { // cheaper than asking the ledger for what cannot be an id
		c.NotFound()
		return w, false
	}
	w, err := a.Queue.Get(c.Ctx, id)
	switch {
	case errors.Is(err, ledger.ErrNone), err == nil && !(w.Owner == c.Key.ID || c.Key.May(keys.Admin)), err == nil && w.Kind != ledger.Batch:
		c.NotFound()
		return w, false
	case err != nil:
		c.Failed(err)
		return w, false
	}
	return w, true
}

// accepted is the answer to a submit. It is the same when the same submit comes again.
// It has no state and no time in it for that reason: a client that lost the first answer cannot tell the second from it.
type accepted struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	Renders     int               `json:"renders"`
	Links       map[string]string `json:"links"`
	Diagnostics []json.RawMessage `json:"diagnostics"` // warnings and remarks; errors would have been a 422
}

// submit is POST /batches.
// 202 with the id; 400 for a body that cannot be read, 403 for a quota, 409 for an Idempotency-Key that came with other
// content, 422 for a batch with mistakes, 503 while the service stops.
func (a *API) submit(c *web.Call) {
	r, ok := a.request(c)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(c.Ctx, compileTime)
	defer cancel()
	// Before anything is stored, so that mistakes are answered at once and leave no row.
	verdict := a.Queue.Judge(ctx, r)
	if !verdict.OK {
		c.Problem(422, "invalid_batch", "the batch has mistakes", verdict.Findings...)
		return
	}
	o := &ledger.Order{Work: ledger.Work{ID: queue.NewID(a.Now()), Kind: ledger.Batch, Name: verdict.Name, Renders: verdict.Renders, Created: a.Now()}}
	if o.Idem = c.Header("Idempotency-Key"); len(o.Idem) > 255 { // the bound of the column
		c.Problem(400, "idempotency_key", "an Idempotency-Key has at most 255 bytes")
		return
	}
	sum := r.Sum() // before keepHook may take the body away
	o.IdemHash = sum[:]
	if !a.keepHook(c, o, r) {
		return
	}
	// The line of the audit log is written with the work: one commit, and neither is there without the other.
	o.Audit = &ledger.Audit{Time: o.Created, Actor: c.Key.Actor(), Action: "submit", Object: o.ID, Detail: fmt.Sprintf("batch %q, %d renders", o.Name, o.Renders)}
	w, _, err := a.Queue.Submit(c.Ctx, c.Key, o, r)
	if err != nil {
		a.unsubmitted(c, err)
		return
	}
	at := Base + "/batches/" + w.ID
	c.Response.Header.Set("Location", at)
	c.JSON(202, accepted{w.ID, w.Name, w.Renders, map[string]string{"self": at, "events": at + "/events", "gallery": at + "/gallery/"}, web.Findings(verdict.Findings)})
}

// keepHook seals the address of a batch's webhook; one that holds a token makes the whole batch a secret.
// The address is sealed in the row because whoever reads it could call it in our name. r.Body is nil afterwards if the body
// itself is sealed. false means that the client has its answer.
func (a *API) keepHook(c *web.Call, o *ledger.Order, r *queue.Request) bool {
	hook := r.Webhook()
	if hook == "" {
		return true
	}
	secrets := queue.Secrets{Webhook: hook}
	u, err := webhook.CheckURL(hook)
	// An address with a token in its query would stand in the stored body in clear text.
	if err == nil && outgoing.Secretive(u) {
		secrets.Body, r.Body = r.Body, nil
	}
	if err == nil {
		o.Sealed, err = a.Queue.Seal(o.ID, secrets)
	}
	switch {
	case errors.Is(err, seal.ErrNoKey): // the server has no COMFYC_STATE_KEY to keep it with
		c.Problem(422, "secret_refused", err.Error())
	case err != nil:
		c.Problem(422, "webhook", "notify.webhook: "+err.Error())
	}
	return err == nil
}

// unsubmitted answers for a batch that was not taken.
// Other errors are trouble of the ledger or the disk: 500 without details, which are in the log.
func (a *API) unsubmitted(c *web.Call, err error) {
	var quota *queue.QuotaError
	switch {
	case errors.Is(err, ledger.ErrConflict):
		c.Problem(409, "idempotency_conflict", err.Error())
	case errors.As(err, &quota):
		c.Problem(403, quota.Code, quota.Message)
	case errors.Is(err, queue.ErrClosing): // another replica, or the next start, takes it then
		c.RetryAfter(5 * time.Second)
		c.Problem(503, "stopping", err.Error())
	default:
		c.Failed(err)
	}
}

// list is GET /batches: the newest first, `limit` of them, `before` an id.
// A page is 50 by default and 500 at most. Ids sort by time, so `before` is a place that stays right while new batches come.
func (a *API) list(c *web.Call) {
	limit, ok := number(c, "limit", 50, 1, 500)
	if !ok {
		return
	}
	// One more than asked for, to know whether there are others.
	f := ledger.Filter{Kinds: []string{ledger.Batch}, Owner: c.Key.ID, All: c.Key.May(keys.Admin), Before: c.Query("before"), Limit: limit + 1}
	if s := ledger.State(c.Query("state")); s != "" {
		if !slices.Contains([]ledger.State{ledger.Waiting, ledger.Running, ledger.Done, ledger.Incomplete, ledger.Failed, ledger.Cancelled}, s) {
			c.Problem(400, "bad_query", "state is one of waiting, running, done, incomplete, failed, cancelled")
			return
		}
		f.States = []ledger.State{s}
	}
	works, err := a.Ledger.Works(c.Ctx, f)
	if err != nil {
		c.Failed(err)
		return
	}
	out := struct {
		Batches []Batch `json:"batches"`
		Next    string  `json:"next,omitempty"`
	}{Batches: []Batch{}}
	if len(works) > limit {
		works = works[:limit]
		// The link repeats the filter, so a client follows it without knowing how pages work.
		out.Next = Base + "/batches?" + url.Values{"limit": {strconv.Itoa(limit)}, "before": {works[limit-1].ID}, "state": {c.Query("state")}}.Encode()
	}
	for _, w := range works {
		out.Batches = append(out.Batches, a.view(c.Key, w))
	}
	c.JSON(200, out)
}

// number reads a whole number of the query within bounds; ok is false if it was answered with 400.
// A number that is missing gives `otherwise`.
func number(c *web.Call, name string, otherwise, least, most int) (n int, ok bool) {
	text := c.Query(name)
	if text == "" {
		return otherwise, true
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		c.Problem(400, "bad_query", fmt.Sprintf("%s is a whole number from %d to %d", name, least, most))
		return 0, false
	}
	return n, true
}

// show is GET /batches/{id}.
// Totals are as of now while it runs, on whichever replica.
func (a *API) show(c *web.Call) {
	if w, ok := a.find(c); ok {
		c.JSON(200, a.view(c.Key, w))
	}
}

// cancel is DELETE /batches/{id}: cancels one that has not ended. With ?purge=true one that has ended is deleted.
// 202: it was asked to stop, and its remote jobs are being cancelled; 204: it is gone with its files. Cancelling what has ended
// changes nothing and is no error.
func (a *API) cancel(c *web.Call) {
	w, ok := a.find(c)
	if !ok {
		return
	}
	// Without purge the same call on an ended batch must be harmless, since clients repeat it when an answer is lost.
	if c.Query("purge") == "true" && w.State.Final() {
		if err := a.Queue.Forget(c.Ctx, w); err != nil {
			c.Failed(err)
			return
		}
		c.Audit("delete", w.ID, "")
		c.SetStatusCode(204)
		return
	}
	w, err := a.Queue.Cancel(c.Ctx, w.ID)
	if err != nil {
		c.Failed(err)
		return
	}
	c.Audit("cancel", w.ID, "")
	c.JSON(202, a.view(c.Key, w))
}

// retry is POST /batches/{id}/retry.
// 202, or 409 while it has not ended. What is done is kept; failed renders get new attempts; held ones only with
// resubmit_uncertain, since that may pay twice.
func (a *API) retry(c *web.Call) {
	w, ok := a.find(c)
	if !ok {
		return
	}
	var ask struct {
		ResubmitUncertain bool `json:"resubmit_uncertain"`
	}
	if body := c.Body(); len(body) > 0 { // an empty body means false
		if err := json.Unmarshal(body, &ask); err != nil {
			c.Problem(400, "bad_body", `the body is {"resubmit_uncertain": true or false}, or empty`)
			return
		}
	}
	w, ok, err := a.Queue.Retry(c.Ctx, w.ID, ask.ResubmitUncertain)
	switch {
	case err != nil:
		a.unsubmitted(c, err)
	case !ok:
		c.Problem(409, "not_ended", "the batch has not ended")
	default:
		c.Audit("retry", w.ID, fmt.Sprintf("resubmit_uncertain=%t", ask.ResubmitUncertain))
		c.JSON(202, a.view(c.Key, w))
	}
}

// deliveries is GET /batches/{id}/deliveries: the log of webhooks.
// Each try of each message, without address and body.
func (a *API) deliveries(c *web.Call) {
	w, ok := a.find(c)
	if !ok {
		return
	}
	rows, err := a.Ledger.Deliveries(c.Ctx, w.ID)
	if err != nil {
		c.Failed(err)
		return
	}
	out := []map[string]any{}
	for _, d := range rows {
		out = append(out, map[string]any{"id": d.ID, "event": d.Event, "host": d.Host, "state": d.State, "tries": d.Tries, "status": d.Status, "error": d.Error, "created": d.Created, "due": d.Due})
	}
	c.JSON(200, map[string]any{"deliveries": out})
}

// status is GET /status: endpoints, pools and the queue, for the page.
// Numbers of pools count this key's jobs, those of all keys for an admin; endpoints are the same for everybody, as everybody
// waits for them.
func (a *API) status(c *web.Call) {
	all := c.Key.May(keys.Admin)
	pools := []map[string]any{}
	for _, name := range a.Queue.PoolNames() {
		h := a.Queue.Health(name, c.Key.ID, all)
		pools = append(pools, map[string]any{"name": name, "endpoints": a.Queue.Pool(name).Endpoints, "objective": a.Queue.Pool(name).Objective, "waiting": h.Waiting, "running": h.Running,
			"done": h.Done, "failed": h.Failed, "places": h.Places, "busy": h.Busy, "usable": h.Usable})
	}
	c.JSON(200, map[string]any{"endpoints": a.Queue.EndpointsHealth(), "pools": pools, "queue": a.Queue.Stand()})
}

// audit is GET /audit.
// Newest first, 100 by default and 1000 at most; for keys with the scope admin only.
func (a *API) audit(c *web.Call) {
	limit, ok := number(c, "limit", 100, 1, 1000)
	if !ok {
		return
	}
	rows, err := a.Ledger.AuditLog(c.Ctx, limit)
	if err != nil {
		c.Failed(err)
		return
	}
	out := []map[string]any{}
	for _, r := range rows {
		out = append(out, map[string]any{"time": r.Time, "actor": r.Actor, "action": r.Action, "object": r.Object, "detail": r.Detail})
	}
	c.JSON(200, map[string]any{"audit": out})
}
