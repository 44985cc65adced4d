package emulator

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Request is one HTTP request, as far as the faces look at it. Body may be reused by the caller once [Emulator.Handle] has returned.
type Request struct {
	Method        string
	Path          string // decoded, without the query
	Query         string // raw, without the question mark
	Authorization string
	ContentType   string
	Origin        string
	Host          string
	Range         string // of files: "bytes=N-" is understood, anything else gets the whole
	IfRange       string
	Base          string // scheme and host under which the client reaches the emulator, for the URLs in answers
	Body          []byte
}

// Response is the answer. Body is not changed any more and may be sent without copying.
type Response struct {
	Status   int
	Type     string // Content-Type, "" for none
	Location string
	// Disposition is the Content-Disposition, "" for none.
	Disposition string
	RetryAfter  time.Duration // 0 for none
	ETag        string        // of a file, "" for none
	Span        string        // Content-Range of a part of a file, "" for none
	Body        []byte

	// Drop says that the answer never arrives, or not whole.
	Drop Drop
	// BodyDelay is the time between header and body.
	BodyDelay time.Duration
}

// Drop is how a connection breaks.
type Drop uint8

// The ways.
const (
	Whole     Drop = iota // it does not
	DropClose             // closed without an answer
	DropReset             // reset without an answer
	DropHalf              // closed after half of the body
)

// jsonType is that of every answer of the queue dialects: the async Python client refuses any other.
const jsonType = "application/json"

// answer is a JSON answer.
func answer(status int, body []byte) *Response {
	return &Response{Status: status, Type: jsonType, Body: body}
}

// refuse is a JSON answer with an error's text.
func refuse(status int, text string) *Response {
	return answer(status, appendField([]byte{'{'}, "error", text, '}'))
}

// retryAfter prints a Retry-After header: whole seconds, rounded up.
func (r *Response) retryAfter() string {
	return strconv.FormatInt(int64((r.RetryAfter+time.Second-1)/time.Second), 10)
}

// file is an answer that holds a file, or the part of it from a byte on that was asked for.
func file(r *Request, name string, data []byte) *Response {
	sum := sha256.Sum256(data)
	out := &Response{Status: 200, Type: mediaType(name), Body: data, ETag: `"` + hex.EncodeToString(sum[:16]) + `"`}
	text, asked := strings.CutPrefix(r.Range, "bytes=")
	text, open := strings.CutSuffix(text, "-")
	from, err := strconv.Atoi(text)
	// A range that is not understood, or of another version of the file, gets the whole with 200, as RFC 9110 allows.
	if !asked || !open || err != nil || from < 0 || r.IfRange != "" && r.IfRange != out.ETag {
		return out
	}
	if from >= len(data) {
		return &Response{Status: 416, Span: fmt.Sprintf("bytes */%d", len(data)), ETag: out.ETag}
	}
	out.Status, out.Body, out.Span = 206, data[from:], fmt.Sprintf("bytes %d-%d/%d", from, len(data)-1, len(data))
	return out
}
