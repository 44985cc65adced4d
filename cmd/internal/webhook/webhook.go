// Package webhook tells an address that something has ended, as the Standard Webhooks specification says: a POST of JSON with an id, a
// time and a signature, so that the receiver can check who sent it, that it is fresh, and whether it came before.
//
// Nothing is kept: whoever sends decides how often it is tried. All functions may be called from many goroutines.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/comfyc/comfyc/scheduler/dialect/call"
)

// Bounds of one try.
// They hold for each try; how many there are and how long apart is the sender's business.
const (
	maxURL       = 2048             // bytes of an address
	tryTime      = 20 * time.Second // for name, connection, request, redirects and answer together
	maxRedirects = 3
	maxAnswer    = 64 << 10 // bytes that are read of an answer, so that its connection can be used again
)

// ErrGone is the answer 410: the receiver wants no more, ever.
var ErrGone = errors.New("the receiver says 410 Gone: it wants no more")

// Message is one call.
type Message struct {
	ID     string // the same for every try, so that a receiver can drop the second one
	URL    string
	Secret []byte // signs it; see ParseSecret
	Body   []byte // JSON
}

// NewClient makes a client that calls no private address, after the name was resolved and at each redirect, but for the allowed hosts
// ("name" or "name:port").
// One client keeps idle connections and is meant to be shared by all messages with the same allowed hosts. Its refusals are of
// the type that Final knows.
func NewClient(allowHosts []string) *http.Client {
	return &http.Client{Transport: call.Outside(allowHosts), CheckRedirect: onward}
}

// onward lets three redirects through. Going from https to http would send the signed body in clear text. The Referer would
// tell the next host the whole address, which may hold a token.
func onward(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errors.New("too many redirects")
	}
	if r.URL.Scheme == "http" && via[0].URL.Scheme == "https" {
		return errors.New("a redirect from https to http is not followed")
	}
	if via[0].Method == http.MethodPost && r.Method != http.MethodPost { // 301, 302 and 303 would drop the body, and a 200 for nothing would count as delivered
		return errors.New("the address has moved: redirects other than 307 and 308 are not followed")
	}
	r.Header.Del("Referer")
	return nil
}

// CheckURL holds that an address can be called: plain http or https, of a bounded length, without a name and password.
// Nothing is resolved or called. That a name leads to a private address shows only when it is called. No error repeats the
// address.
func CheckURL(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case len(address) > maxURL:
		return nil, fmt.Errorf("the address has more than %d bytes", maxURL)
	case err != nil, u.Host == "", u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("the address is no http or https URL")
	case u.User != nil:
		return nil, errors.New("the address must not hold a name and password")
	}
	return u, nil
}

// Post makes one try. Any 2xx answer is nil. status is 0 if there was no answer. No error holds the address, which may be secret.
// The body is sent as it is and is what was signed, so a proxy that rewrites JSON breaks the signature. now is the time of this
// try, by which receivers drop what is old.
func Post(ctx context.Context, client *http.Client, m Message, now time.Time) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.URL, bytes.NewReader(m.Body))
	if err != nil {
		return 0, errors.New("the address cannot be called")
	}
	at := strconv.FormatInt(now.Unix(), 10) // seconds, in UTC by nature
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "comfyc")
	r.Header.Set("webhook-id", m.ID)
	r.Header.Set("webhook-timestamp", at)
	r.Header.Set("webhook-signature", Sign(m.Secret, m.ID, at, m.Body))
	answer, err := client.Do(r)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // without the address
		}
		return 0, err
	}
	defer answer.Body.Close()
	// What the receiver says is not looked at; it is read so that the connection can be kept.
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer))
	switch {
	case answer.StatusCode == http.StatusGone:
		return answer.StatusCode, ErrGone // a final answer: the sender stops for good
	case answer.StatusCode/100 != 2:
		return answer.StatusCode, fmt.Errorf("HTTP %d", answer.StatusCode)
	}
	return answer.StatusCode, nil
}

// Final tells the errors that no later try mends: the receiver wants no more, or the address is private.
// All else, a 404 or 500 too, may be better at the next try.
func Final(err error) bool {
	var private *call.PrivateError
	return errors.As(err, &private) || errors.Is(err, ErrGone)
}

// Sign gives the webhook-signature of a message: "v1," and the HMAC-SHA256 of "id.timestamp.body" in base64.
// Receivers compute the same from the headers and the raw body and compare. The version "v1" is that of the scheme, so others
// could stand beside it later.
func Sign(secret []byte, id, timestamp string, body []byte) string {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(id + "." + timestamp + "."))
	h.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// secretPrefix begins a secret as receivers' libraries write it.
const secretPrefix = "whsec_"

// ParseSecret reads a secret: "whsec_" and base64, or any other text as it is.
// Base64 is the standard alphabet with padding; an empty text gives an empty secret, which callers refuse before.
func ParseSecret(text string) ([]byte, error) {
	coded, ok := strings.CutPrefix(text, secretPrefix)
	if !ok {
		return []byte(text), nil
	}
	secret, err := base64.StdEncoding.DecodeString(coded)
	if err != nil {
		return nil, errors.New("the secret begins with whsec_, but no base64 follows")
	}
	return secret, nil
}

// SecretText writes a secret as receivers' libraries want it.
func SecretText(secret []byte) string {
	return secretPrefix + base64.StdEncoding.EncodeToString(secret)
}
