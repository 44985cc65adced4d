// Package outgoing makes the calls that clients ask the service to make: webhooks, signed as the Standard Webhooks specification says, and
// the loading of inputs by URL. All of them go through one guarded transport, which refuses private addresses after the name was resolved
// and at each redirect (see package call).
//
// A webhook is owed once it is in the ledger: it is tried until it is taken (any 2xx), by one replica at a time, after the pauses in
// [Pauses], across restarts, and then given up. Every try has the same webhook-id, so that a receiver can drop the second one. The ledger's
// rows are the log of deliveries.
//
// [Courier.Run] is one goroutine, with at most [AtOnce] calls under way. All methods may be called from many goroutines.
package outgoing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/cmd/internal/service/seal"
	"github.com/comfyc/comfyc/cmd/internal/webhook"
	"github.com/comfyc/comfyc/scheduler/dialect/call"
)

// Pauses are the times between the tries of a webhook; after the last one it is given up. About 31 hours in all.
// Growing, so that a receiver that is down for a weekend's night is not called in vain all the time, and one that was only
// restarted hears soon.
var Pauses = []time.Duration{5 * time.Second, 30 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour}

// AtOnce is how many webhooks are called at one time.
const AtOnce = 16

// Longer than one try may take, or two replicas would call at the same time.
const (
	holdFor   = 40 * time.Second // a try that a replica has begun is nobody else's for so long
	lookEvery = 2 * time.Second  // for calls that fell due, or that another replica owed
)

// Courier makes outgoing calls.
// Exported fields are set before Start; Start is called before all else.
type Courier struct {
	Ledger *ledger.Ledger
	Box    *seal.Box // nil without COMFYC_STATE_KEY
	// Secret gives the key by which webhooks of an owner are signed.
	Secret func(owner string) []byte
	Log    *slog.Logger
	Now    func() time.Time

	client *http.Client  // refuses private addresses; shared by all calls
	wake   chan struct{} // one place: a call was just owed
}

// Start makes a courier ready. allow names the private hosts that may be called.
func (c *Courier) Start(allow []string) {
	c.client = webhook.NewClient(allow)
	c.wake = make(chan struct{}, 1)
}

// Transport is the guarded transport, for other clients of addresses that came from outside.
func (c *Courier) Transport() http.RoundTripper { return c.client.Transport }

// Secretive tells whether an address probably holds a secret: presigned queries, tokens. A part of the path that is long and mixes letters
// with digits is taken for a token, as chat services have them there; a UUID is taken for a name.
func Secretive(u *url.URL) bool {
	return u.RawQuery != "" || u.Fragment != "" || slices.ContainsFunc(strings.Split(u.Path, "/"), isToken)
}

const leastToken = 20 // characters

var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

func isToken(part string) bool {
	letters, digits := 0, 0
	for _, r := range part {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z':
			letters++
		case r != '-' && r != '_':
			return false
		}
	}
	return len(part) >= leastToken && letters > 0 && digits > 0 && !uuid.MatchString(part)
}

// Hook is where a work's end is told.
// Every field is needed; the body is kept as it is for all tries.
type Hook struct {
	ID, Work, Owner, Event string
	URL                    string
	Body                   []byte
}

// Owe makes a webhook durable. It is called soon after.
// The error is seal.ErrNoKey for a secret address without COMFYC_STATE_KEY, or trouble of the ledger. Owing the same id twice
// is one call.
func (c *Courier) Owe(ctx context.Context, h Hook) error {
	u, err := webhook.CheckURL(h.URL)
	if err != nil {
		return err
	}
	sealed := append([]byte{'p'}, h.URL...) // plain
	if c.Box != nil {
		if sealed, err = c.Box.Seal([]byte(h.URL), "webhook "+h.ID); err != nil {
			return err
		}
		sealed = append([]byte{'s'}, sealed...)
	} else if Secretive(u) {
		return seal.ErrNoKey
	}
	now := c.Now()
	err = c.Ledger.AddDelivery(ctx, ledger.Delivery{ID: h.ID, Work: h.Work, Owner: h.Owner, Host: u.Host, Event: h.Event, Sealed: sealed, Body: string(h.Body),
		State: "due", Due: now, Created: now})
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return err
}

// Run makes the calls that are due until ctx ends.
// Calls under way are waited for; those that ctx cuts off are tried again by the next start.
func (c *Courier) Run(ctx context.Context) {
	var calls sync.WaitGroup
	defer calls.Wait()
	room := make(chan struct{}, AtOnce) // waits here when 16 calls are under way
	timer := time.NewTicker(lookEvery)
	defer timer.Stop()
	for {
		now := c.Now()
		due, err := c.Ledger.TakeDeliveries(ctx, now, now.Add(holdFor), AtOnce)
		if err != nil && ctx.Err() == nil {
			c.Log.Error("webhooks cannot be read", "error", err)
		}
		for _, d := range due {
			room <- struct{}{}
			calls.Go(func() { c.try(ctx, d); <-room })
		}
		if len(due) == AtOnce { // there may be more that are due
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-c.wake:
		}
	}
}

// try makes one call and writes what came of it.
// A try that the end of the service cut off does not count. A 410 or a private address gives the call up at once.
func (c *Courier) try(ctx context.Context, d ledger.Delivery) {
	status, err := c.call(ctx, d)
	if err != nil && ctx.Err() != nil {
		return // the server stops: the try does not count, and comes again
	}
	d.Tries++
	d.Status, d.Error = status, ""
	switch {
	case err == nil:
		d.State = "delivered"
	case d.Tries > len(Pauses) || webhook.Final(err):
		d.State, d.Error = "given-up", call.Redact(err.Error())
	default:
		d.Due, d.Error = c.Now().Add(Pauses[d.Tries-1]), call.Redact(err.Error()) // from now on, not from when it was due
	}
	c.Log.Info("webhook", "work", d.Work, "host", d.Host, "event", d.Event, "try", d.Tries, "state", d.State, "status", status, "error", d.Error)
	if err := c.Ledger.SaveDelivery(context.WithoutCancel(ctx), d); err != nil {
		c.Log.Error("what came of a webhook cannot be written", "error", err)
	}
}

// call makes one try.
// Its signature is of this moment, so it is made anew for each try.
func (c *Courier) call(ctx context.Context, d ledger.Delivery) (int, error) {
	address, err := c.address(d)
	if err != nil {
		return 0, err
	}
	return webhook.Post(ctx, c.client, webhook.Message{ID: d.ID, URL: address, Secret: c.Secret(d.Owner), Body: []byte(d.Body)}, c.Now())
}

// address opens where a webhook goes.
// An error is another COMFYC_STATE_KEY than when it was owed; it counts as a failed try.
func (c *Courier) address(d ledger.Delivery) (string, error) {
	if len(d.Sealed) == 0 {
		return "", errors.New("the address is not there")
	}
	if d.Sealed[0] == 'p' {
		return string(d.Sealed[1:]), nil
	}
	text, err := c.Box.Open(d.Sealed[1:], "webhook "+d.ID)
	return string(text), err
}

// Fetch loads an address that a client gave, at most limit bytes.
// One minute in all. The error names the host only, since the address may hold a token; private hosts and redirects to them are
// refused.
func (c *Courier) Fetch(ctx context.Context, address string, limit int64) ([]byte, error) {
	if _, err := webhook.CheckURL(address); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("the address cannot be called")
	}
	answer, err := c.client.Do(r)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, fmt.Errorf("load %s: %s", hostOf(address), call.Redact(err.Error()))
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("load %s: HTTP %d", hostOf(address), answer.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, limit+1)) // one byte more, to tell "as many" from "more"
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("more than %s", call.Size(limit))
	}
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", hostOf(address), err)
	}
	return data, nil
}

// hostOf names an address without what may be secret in it.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the address"
	}
	return strings.ToLower(u.Host)
}
