package call

import (
	"context"
	"net/http/httptrace"
	"sync/atomic"
)

// step is how far a request got before it failed. Only a transport that calls httptrace's hooks tells it (net/http's does); one that does
// not, such as an in-memory one, leaves untraced, which counts as "may have arrived".
type step int32

// The steps, in their order.
const (
	untraced   step = iota // the transport did not say: anything may have happened
	connecting             // no connection was made: nothing was sent
	connected              // a connection was there, not one byte of the request was written
	writing                // the request or a part of it may have arrived
)

// progress is written by the transport's goroutines and read by the caller.
type progress struct{ at atomic.Int32 }

// step is how far it got so far.
func (p *progress) step() step { return step(p.at.Load()) }

// set is called by the transport.
func (p *progress) set(s step) { p.at.Store(int32(s)) }

// trace watches a request. The transport asks for a second connection only after the first proved dead before anything was
// written, so a new beginning resets the steps. The first header written to the buffer counts as sent, though it may never have been
// flushed: the safe side of the doubt.
func trace(ctx context.Context, written func()) (context.Context, *progress) {
	p := &progress{}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:          func(string) { p.set(connecting) },
		GotConn:          func(httptrace.GotConnInfo) { p.set(connected) },
		WroteHeaderField: func(string, []string) { p.set(writing) },
		WroteHeaders:     func() { p.set(writing) },
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err == nil && written != nil {
				written()
			}
		},
	}), p
}
