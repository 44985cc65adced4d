package trace

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Bounds of what the exporter holds and of how long a call may take.
const (
	queueSize = 4096             // spans that wait; more are dropped
	batchSize = 512              // spans of one call
	sendEvery = 2 * time.Second  // a test or a person looks soon after; the collector is spared
	sendTime  = 10 * time.Second // of one batch, and of the last one at the end
)

// Exporter sends spans to one collector.
// Set by Open and not changed after it; Run may be called once.
type Exporter struct {
	Log *slog.Logger

	address string      // of the collector, with its path
	header  http.Header // content type, and what OTEL_EXPORTER_OTLP_HEADERS adds
	service string      // OTEL_SERVICE_NAME, "comfyc" by default
	client  *http.Client
	queue   chan *Span
	sent    atomic.Int64 // spans that were taken with a 2xx
	dropped atomic.Int64
}

// Open reads the variables of OpenTelemetry that say where to send: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, or OTEL_EXPORTER_OTLP_ENDPOINT
// ("/v1/traces" is added); OTEL_EXPORTER_OTLP_HEADERS; OTEL_SERVICE_NAME. Without an address it is off: nil.
// OTEL_SDK_DISABLED=true switches it off too. Headers are "name=value" pairs between commas, values percent-encoded; what is no
// pair is left out.
func Open(getenv func(string) string, log *slog.Logger) (*Exporter, error) {
	address := getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
	if base := getenv("OTEL_EXPORTER_OTLP_ENDPOINT"); address == "" && base != "" {
		address = strings.TrimSuffix(base, "/") + "/v1/traces"
	}
	if address == "" || getenv("OTEL_SDK_DISABLED") == "true" {
		return nil, nil
	}
	if u, err := url.Parse(address); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT is no http or https address")
	}
	e := &Exporter{Log: log, address: address, header: http.Header{"Content-Type": {"application/json"}}, service: getenv("OTEL_SERVICE_NAME"),
		client: &http.Client{Timeout: sendTime}, queue: make(chan *Span, queueSize)}
	if e.service == "" {
		e.service = "comfyc"
	}
	for pair := range strings.SplitSeq(getenv("OTEL_EXPORTER_OTLP_HEADERS"), ",") {
		name, value, ok := strings.Cut(pair, "=")
		if text, err := url.PathUnescape(strings.TrimSpace(value)); ok && err == nil {
			e.header.Set(strings.TrimSpace(name), text)
		}
	}
	return e, nil
}

// add queues a span that has ended.
// It never waits: a collector that is slow or away costs spans, not requests.
func (e *Exporter) add(s *Span) {
	select {
	case e.queue <- s:
	default:
		e.dropped.Add(1)
	}
}

// Counts tells how many spans the collector has taken, and how many were dropped.
func (e *Exporter) Counts() (sent, dropped int64) { return e.sent.Load(), e.dropped.Load() }

// Run sends what is queued until ctx ends, then what is left.
// Up to 512 spans go at a time; the queue is looked at every two seconds. After ctx it has ten seconds for what is left.
func (e *Exporter) Run(ctx context.Context) {
	tick := time.NewTicker(sendEvery)
	defer tick.Stop()
	defer e.client.CloseIdleConnections()
	for {
		select {
		case <-tick.C:
			e.flush(context.WithoutCancel(ctx)) // a batch that has begun is sent to its end
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTime)
			defer cancel()
			e.flush(last)
			return
		}
	}
}

// flush sends what is queued now.
// Batches that fail are dropped and not tried again, so memory stays bounded. A partial success counts as a success.
func (e *Exporter) flush(ctx context.Context) {
	for {
		var batch []*Span
		for len(batch) < batchSize && len(e.queue) > 0 {
			batch = append(batch, <-e.queue)
		}
		if len(batch) == 0 {
			return
		}
		if err := e.send(ctx, batch); err != nil {
			e.dropped.Add(int64(len(batch)))
			e.Log.Warn("the collector of traces has not taken a batch", "spans", len(batch), "error", err)
			continue
		}
		e.sent.Add(int64(len(batch)))
	}
}

// send makes one call.
// The answer is read to its end, at most 64 KiB, so that the connection is kept.
func (e *Exporter) send(ctx context.Context, batch []*Span) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.address, bytes.NewReader(e.message(batch)))
	if err != nil {
		return err
	}
	r.Header = e.header
	answer, err := e.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10))
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("HTTP %d", answer.StatusCode)
	}
	return nil
}

// object is a JSON object.
// Short for the literals in message.
type object map[string]any

// message writes spans as an ExportTraceServiceRequest: ids in hex, times and integers as decimal texts, as OTLP's JSON has them.
func (e *Exporter) message(batch []*Span) []byte {
	spans := make([]object, len(batch))
	for i, s := range batch {
		status := object{"code": 1} // OTLP: 1 is ok, 2 is an error
		if s.failed != "" {
			status = object{"code": 2, "message": s.failed}
		}
		spans[i] = object{"traceId": hex.EncodeToString(s.ID.Trace[:]), "spanId": hex.EncodeToString(s.ID.Span[:]), "name": s.name, "kind": s.kind, "status": status,
			"startTimeUnixNano": nanos(s.begun), "endTimeUnixNano": nanos(s.ended), "attributes": attributes(s.attrs)}
		if s.parent != None.Span {
			spans[i]["parentSpanId"] = hex.EncodeToString(s.parent[:])
		}
	}
	text, err := json.Marshal(object{"resourceSpans": []object{{"resource": object{"attributes": attributes([]attribute{{"service.name", e.service}})},
		"scopeSpans": []object{{"scope": object{"name": "comfyc"}, "spans": spans}}}}})
	if err != nil {
		panic("a trace cannot be written: " + err.Error()) // strings and numbers
	}
	return text
}

// nanos is a decimal text: JavaScript's numbers could not hold it.
func nanos(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

// attributes writes names with typed values.
// NaN and infinities, which JSON has not, become texts. Another type is a bug and panics.
func attributes(list []attribute) []object {
	out := make([]object, len(list))
	for i, a := range list {
		value := object{}
		switch v := a.value.(type) {
		case string:
			value["stringValue"] = v
		case int:
			value["intValue"] = strconv.Itoa(v)
		case float64:
			value["doubleValue"] = v
			if math.IsNaN(v) || math.IsInf(v, 0) { // not a number that JSON has
				value = object{"stringValue": strconv.FormatFloat(v, 'g', -1, 64)}
			}
		case bool:
			value["boolValue"] = v
		default:
			panic(fmt.Sprintf("an attribute %s of the type %T", a.name, v))
		}
		out[i] = object{"key": a.name, "value": value}
	}
	return out
}
