// What an error of a call means. The scale that counts is what is known about a paid call:
//
//	nothing was sent           Unreachable, Transient   sent again, as a new attempt
//	the remote said no         Rejected, Unauthorized   never sent there again
//	the remote said not now    Busy                     sent again when told, or after a pause
//	nobody knows               Uncertain                asked for (Finder, webhook), else held for the user
//
// When in doubt it is Uncertain: a render that is looked for costs time, one that is sent twice costs money.

package call

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/comfyc/comfyc/scheduler"
)

// Fail makes an error of the endpoint. The text is redacted.
func (c *Client) Fail(op string, kind scheduler.Kind, format string, args ...any) *scheduler.Error {
	return &scheduler.Error{Kind: kind, Endpoint: c.options.Endpoint, Op: op, Message: c.Clean(fmt.Sprintf(format, args...))}
}

// lost classes a call that got no whole answer.
func (c *Client) lost(r Request, err error, at step) *scheduler.Error {
	failed := c.Fail(r.Op, lostKind(r, err, at), "%s", reason(err))
	failed.Err = cause(err)
	return failed
}

// lostKind says what is known when no answer came: that nothing was sent, that the request can not have arrived whole, or nothing at all,
// which matters for the paid call only.
func lostKind(r Request, err error, at step) scheduler.Kind {
	switch {
	case isDial(err), at == connecting:
		return scheduler.Unreachable
	case at == connected:
		return scheduler.Transient
	case r.Paid:
		return scheduler.Uncertain
	}
	return scheduler.Transient
}

// isDial tells whether making the connection failed, whatever the transport told its trace.
func isDial(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	return errors.As(err, &dns) || errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect")
}

// cause is an error without the URL that net/http wraps around it: a signed URL is a secret.
func cause(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// reason says what happened, in a user's words where they are known.
func reason(err error) string {
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, context.Canceled):
		return "interrupted before the answer came"
	case errors.As(err, &dns):
		return "the host name " + dns.Name + " does not resolve"
	}
	return cause(err).Error()
}

// refused classes an answer by its status; nil for 2xx.
func (c *Client) refused(r Request, a Answer) error {
	if a.Status >= 200 && a.Status < 300 {
		return nil
	}
	failed := c.Fail(r.Op, statusKind(r, a), "%s", c.statusText(r, a))
	failed.Status = a.Status
	failed.RetryAfter = retryAfter(a.Header, time.Now())
	return failed
}

// Statuses by which a proxy says that the server behind it was never reached: Cloudflare's 521 (refused), 523 (no route), 525 and
// 526 (TLS). 522 is not one of them: it also stands for a request that was sent and not acknowledged.
func neverReached(status int) bool {
	return status == 521 || status == 523 || status == 525 || status == 526
}

// statusKind classes every status but 2xx.
func statusKind(r Request, a Answer) scheduler.Kind {
	// 413 with Retry-After is "no room just now" by RFC 9110; without it the job is too large for good. A 503 that names a time was
	// sent by a limiter, one that does not may come from a gateway behind which the job was taken.
	waits := a.Header.Get("Retry-After") != ""
	switch s := a.Status; {
	case s == 401 || s == 403:
		return scheduler.Unauthorized
	// 408: the server gave up waiting for the request; 425: it would not risk early data. Neither carried anything out.
	case s == 408 || s == 425 || s == 429, waits && (s == 413 || s == 503):
		return scheduler.Busy
	case neverReached(s):
		return scheduler.Transient
	// The method or the protocol is not spoken there: said before anything was done, and no repetition changes it.
	case s == 501 || s == 505:
		return scheduler.Rejected
	// 303 "see other" answers a POST that was carried out. A 1xx as a final answer is no HTTP at all.
	case s >= 500, s == 303, s < 200:
		return lostAnswer(r)
	case s == 404 && isHTML(a):
		// A proxy's page says nothing about the job or the endpoint behind it.
		return refusal(r)
	case s == 404 || s == 410:
		return scheduler.Rejected
	}
	return refusal(r)
}

// lostAnswer is the kind of an answer that does not tell whether the call was carried out.
func lostAnswer(r Request) scheduler.Kind {
	if r.Paid {
		return scheduler.Uncertain
	}
	return scheduler.Transient
}

// refusal is the kind of an answer that says no. Calls other than the paid one and the check are about something that exists and
// may well be answered next time.
func refusal(r Request) scheduler.Kind {
	if r.Paid || r.Op == "check" || r.Op == "upload" {
		return scheduler.Rejected
	}
	return scheduler.Transient
}

// statusText says what a status means for the user, and then what the remote said.
func (c *Client) statusText(r Request, a Answer) string {
	text := fmt.Sprintf("HTTP %d", a.Status)
	switch s := a.Status; {
	case s == 401 || s == 403:
		text += c.keyAdvice()
	case s == 404 && (r.Paid || r.Op == "check"):
		text += ": there is no such endpoint at " + c.base.Host + "; check its id in the url"
	case s == 413:
		text += fmt.Sprintf(": the job of %s is too large for the endpoint; send smaller inputs or lower limits.job_bytes", Size(int64(len(r.Body))))
	case s >= 300 && s < 400:
		text += ": " + c.redirectText(a)
	}
	if said := said(a); said != "" {
		text += ": " + said
	}
	return text
}

// keyAdvice names where the key came from, never the key.
func (c *Client) keyAdvice() string {
	if c.options.Key == "" {
		return ": the endpoint wants a key and none is configured"
	}
	return ": the key from " + c.options.KeyName + " was refused; key and endpoint must belong to the same team"
}

// redirectText names the origin that the remote pointed to; the rest of the address may be secret.
func (c *Client) redirectText(a Answer) string {
	to, err := c.base.Parse(a.Header.Get("Location"))
	if err != nil || to.Host == "" {
		return "a redirect to nowhere"
	}
	return "a redirect to " + to.Scheme + "://" + to.Host + " is not followed; if that is the endpoint, write it as url"
}

// oversize is the error of an answer beyond its bound. Asking again would bring the same one, so it is final; of a paid call it is open
// whether the job was taken, as the id may stand beyond the bound.
func (c *Client) oversize(r Request, limit int64) error {
	kind := scheduler.Rejected
	if r.Paid {
		kind = scheduler.Uncertain
	}
	return c.Fail(r.Op, kind, "the answer is larger than %s", Size(limit))
}

// senseless classes a 2xx answer that is not the JSON it should be.
func (c *Client) senseless(r Request, a Answer, err error) error {
	what := "the answer is not the JSON expected (" + err.Error() + ")"
	switch {
	case isHTML(a):
		what = "a web page came where JSON belongs"
	case len(a.Body) == 0:
		what = "an empty answer came where JSON belongs"
	}
	if said := said(a); said != "" {
		what += ": " + said
	}
	failed := c.Fail(r.Op, lostAnswer(r), "%s", what)
	failed.Status = a.Status
	return failed
}

// Senseless is for dialects: the answer is JSON, but not of the form it should have.
func (c *Client) Senseless(r Request, format string, args ...any) *scheduler.Error {
	return c.Fail(r.Op, lostAnswer(r), format, args...)
}

// maxRetryAfter bounds what a remote can make us wait.
const maxRetryAfter = time.Hour

// retryAfter reads the header's two forms, seconds and a date; 0 if there is none, or if it lies in the past.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		// Compared before the conversion: "1e300" would overflow a Duration and come out negative.
		if seconds >= maxRetryAfter.Seconds() {
			return maxRetryAfter
		}
		return max(0, time.Duration(seconds*float64(time.Second)))
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date // the remote's own clock, so that a wrong one does no harm
	}
	return min(max(0, at.Sub(now)), maxRetryAfter)
}
