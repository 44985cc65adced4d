package trace

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestParse(t *testing.T) {
	good := "00-" + strings.Repeat("ab", 16) + "-" + strings.Repeat("cd", 8) + "-01"
	if id := Parse(good); id.String() != good || !id.Sampled {
		t.Errorf("%s became %s", good, id)
	}
	if id := Parse(strings.TrimSuffix(good, "01") + "00"); id == None || id.Sampled {
		t.Errorf("not sampled: %+v", id)
	}
	if id := Parse("cc" + good[2:] + "-more"); id == None {
		t.Error("a later version is not read")
	}
	for _, bad := range []string{"", "-", "---", good + "-more", "ff" + good[2:], strings.ToUpper(good), good[:54], strings.Replace(good, "ab", "xy", 1), strings.Replace(good, strings.Repeat("ab", 16), strings.Repeat("0", 32), 1),
		strings.Replace(good, strings.Repeat("cd", 8), strings.Repeat("0", 16), 1), strings.Repeat("00-", 100)} {
		if id := Parse(bad); id != None {
			t.Errorf("%q became %s", bad, id)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	f.Fuzz(func(t *testing.T, header string) {
		if id := Parse(header); id != None && Parse(id.String()) != id {
			t.Errorf("%q became %s, which is another", header, id)
		}
	})
}

// Nothing is needed to be off.
func TestOff(t *testing.T) {
	e, err := Open(func(string) string { return "" }, slog.New(slog.DiscardHandler))
	if e != nil || err != nil {
		t.Fatal(e, err)
	}
	s := e.Start(None, Server, "x", time.Now())
	s.Set("a", 1)
	s.End(time.Now(), "")
	if s.Where() != None || With(t.Context(), None) != t.Context() {
		t.Error("a span that is none has an ID")
	}
}

// The queue is bounded: what does not fit is dropped and counted, and nobody waits.
func TestTheQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // as the time for what is left at the end must not depend on the machine's speed
		calls := 0
		e, err := Open(func(name string) string {
			return map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector.invalid"}[name]
		}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		e.client.Transport = collector(func(r *http.Request) { calls++ })
		for range queueSize + 10 {
			span := e.Start(None, Internal, "x", time.Now())
			for range 2 * maxAttributes {
				span.Set("a", "b")
			}
			span.End(time.Now(), "")
			span.End(time.Now(), "") // again: nothing
		}
		if sent, dropped := e.Counts(); sent != 0 || dropped != 10 {
			t.Errorf("sent %d, dropped %d", sent, dropped)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		e.Run(ctx)
		if sent, dropped := e.Counts(); sent != queueSize || dropped != 10 || calls != queueSize/batchSize {
			t.Errorf("sent %d in %d calls, dropped %d", sent, calls, dropped)
		}
	})
}

// collector takes every batch without a network.
type collector func(*http.Request)

func (c collector) RoundTrip(r *http.Request) (*http.Response, error) {
	_, err := io.Copy(io.Discard, r.Body)
	c(r)
	return &http.Response{StatusCode: 200, Body: http.NoBody}, err
}
