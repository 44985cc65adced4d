// Package trace tells an OpenTelemetry collector what happened to requests: spans, sent as OTLP over HTTP in its JSON form, which every
// collector takes beside the binary one (port 4318). It is as much of OpenTelemetry as one service needs and no more: traces only, W3C
// traceparent in, no sampling of its own.
//
// It is off unless OTEL_EXPORTER_OTLP_ENDPOINT (or …_TRACES_ENDPOINT) is set; then [Open] gives an [Exporter]. A nil *Exporter and a nil
// *Span do nothing, so that callers need not ask.
//
// A span that has ended waits in a queue of [queueSize]; [Exporter.Run] sends them in batches. Nothing waits for the collector: what finds the
// queue full, or what the collector does not take, is dropped and counted ([Exporter.Counts]).
//
// All methods may be called from many goroutines, but those of one Span from one at a time.
package trace
