package jobs

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect/call"
)

// Waiting is an Endpoint of a platform that also holds answers back and runs jobs again, which is what RunPod documents and Novita does not.
type Waiting struct{ *Endpoint }

// slack is what an answer that is held back may take beyond the time that was asked for.
const slack = 10 * time.Second

// PollWait implements scheduler.LongPoller: it asks /status-sync, which holds its answer back until the job has ended. Where there is no such path, or the job is not
// known, an ordinary poll decides.
func (e *Waiting) PollWait(ctx context.Context, remote string, wait time.Duration) (scheduler.Status, error) {
	path := "/status-sync/" + url.PathEscape(remote) + "?wait=" + strconv.FormatInt(wait.Milliseconds(), 10)
	// RunPod answers with the state then, such as IN_PROGRESS, when the wait is over: an ordinary status and no error.
	st, a, err := e.ask(ctx, call.Request{Op: "poll", Path: path, Timeout: wait + slack}, remote)
	if a.Status == http.StatusNotFound || a.Status == http.StatusMethodNotAllowed {
		return e.Poll(ctx, remote)
	}
	if err != nil {
		return e.unanswered(a, err)
	}
	return st, nil
}

// Retry implements scheduler.Retrier.
func (e *Waiting) Retry(ctx context.Context, remote string) (string, error) {
	// Op is submit since that is what it costs; Paid, since a lost answer leaves open whether the job runs again.
	r := call.Request{Op: "submit", Method: http.MethodPost, Path: "/retry/" + url.PathEscape(remote), Paid: true}
	var a answer
	got, err := e.client.JSON(ctx, r, &a)
	if failed, ok := err.(*scheduler.Error); ok && got.Status == http.StatusNotFound {
		failed.Message = "the platform does not know the job (any more), so it cannot be run again"
		return "", failed
	}
	if err != nil {
		return "", err
	}
	return e.accepted(r, a)
}

// Purge implements scheduler.Purger.
// RunPod answers {"removed": 2, "status": "completed"} and allows 2 calls in 10 s.
func (e *Endpoint) Purge(ctx context.Context) (int, error) {
	var a struct {
		Removed *float64 `json:"removed"`
	}
	r := call.Request{Op: "cancel", Method: http.MethodPost, Path: "/purge-queue", Timeout: 30 * time.Second}
	if _, err := e.client.JSON(ctx, r, &a); err != nil {
		return 0, err
	}
	return number(a.Removed), nil
}

// Delivery reads the body of a webhook: the same as an answer about the job. It is a hint and no more, as anybody may have sent it.
func Delivery(body []byte) (scheduler.Hint, bool) {
	var a answer
	if json.Unmarshal(body, &a) != nil || !validID(a.id()) {
		return scheduler.Hint{}, false
	}
	return scheduler.Hint{Remote: a.id(), State: states[a.Answer().State]}, true
}
