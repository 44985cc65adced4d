package trace

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"strings"
	"time"
)

// ID names a span within its trace: what the header traceparent carries.
// It is a value and can be compared with ==.
type ID struct {
	Trace   [16]byte
	Span    [8]byte
	Sampled bool // the caller wants it recorded
}

// None is the ID of no span.
var None ID

// Parse reads a traceparent header (W3C Trace Context, version 00 and what later versions have in common with it); None if it is none.
// A header from outside: its length is bounded, capital letters and zero ids are refused, as the standard wants it.
func Parse(header string) (id ID) {
	parts := strings.Split(header, "-")
	if len(header) > 128 || len(parts) < 4 || len(parts[0]) != 2 || parts[0] == "ff" || parts[0] == "00" && len(parts) != 4 {
		return None
	}
	flags := make([]byte, 1)
	for i, into := range [][]byte{id.Trace[:], id.Span[:], flags} {
		text := parts[i+1]
		if len(text) != 2*len(into) || strings.ToLower(text) != text {
			return None
		}
		if _, err := hex.Decode(into, []byte(text)); err != nil {
			return None
		}
	}
	if id.Trace == None.Trace || id.Span == None.Span {
		return None
	}
	id.Sampled = flags[0]&1 == 1
	return id
}

// String writes a traceparent; "" for None.
// The version is always 00.
func (id ID) String() string {
	if id == None {
		return ""
	}
	flags := "-00"
	if id.Sampled {
		flags = "-01"
	}
	return "00-" + hex.EncodeToString(id.Trace[:]) + "-" + hex.EncodeToString(id.Span[:]) + flags
}

// Kind says which side of a call a span is, in OTLP's numbers.
type Kind int

// The kinds.
const (
	Internal Kind = 1
	Server   Kind = 2
	Client   Kind = 3
)

// Span is something that takes time. A nil one notes nothing.
// It is made by Start and belongs to one goroutine, or to several under a lock of theirs, until End.
type Span struct {
	ID     ID
	parent [8]byte // zero for the root of a trace
	name   string
	kind   Kind
	begun  time.Time
	ended  time.Time
	failed string // why, "" if it went well
	attrs  []attribute
	to     *Exporter
}

// attribute is a name with a string, an int, a float64 or a bool.
type attribute struct {
	name  string
	value any
}

// maxAttributes bounds what one span carries.
// What is beyond is left out without a word.
const maxAttributes = 32

// Start begins a span below a parent, or a trace of its own below None. Below a parent that is not sampled there is none.
// Ids are random; at is when it began, which may be in the past.
func (e *Exporter) Start(parent ID, kind Kind, name string, at time.Time) *Span {
	if e == nil || parent != None && !parent.Sampled {
		return nil
	}
	s := &Span{ID: parent, parent: parent.Span, name: name, kind: kind, begun: at, to: e}
	if parent == None {
		rand.Read(s.ID.Trace[:]) // never fails
		s.ID.Sampled = true
	}
	rand.Read(s.ID.Span[:])
	return s
}

// Set notes a string, an int, a float64 or a bool.
// After End it must not be called: the span may be under way.
func (s *Span) Set(name string, value any) {
	if s != nil && len(s.attrs) < maxAttributes {
		s.attrs = append(s.attrs, attribute{name, value})
	}
}

// End ends a span and queues it. failed says what went wrong, "" for nothing.
func (s *Span) End(at time.Time, failed string) {
	if s == nil || s.to == nil {
		return
	}
	s.ended, s.failed = at, failed
	s.to.add(s)
	s.to = nil // a second End does nothing
}

// Where gives the span's ID; None for nil.
// It is stored with a work, so that the work's spans find their parent hours later and on another replica.
func (s *Span) Where() ID {
	if s == nil {
		return None
	}
	return s.ID
}

type contextKey struct{}

// With gives a context that names the span that things belong to.
func With(ctx context.Context, id ID) context.Context {
	if id == None {
		return ctx
	}
	return context.WithValue(ctx, contextKey{}, id)
}

// Of gives the ID that With has put into a context; None if there is none.
func Of(ctx context.Context) ID {
	id, _ := ctx.Value(contextKey{}).(ID)
	return id
}
