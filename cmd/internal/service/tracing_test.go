package service

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// collector is an OpenTelemetry collector of traces that reads OTLP's JSON strictly and keeps the spans.
type collector struct {
	*httptest.Server
	mu    sync.Mutex
	spans []otlpSpan
	heads []http.Header
}

type otlpSpan struct {
	TraceID    string `json:"traceId"`
	SpanID     string `json:"spanId"`
	Parent     string `json:"parentSpanId"`
	Name       string `json:"name"`
	Kind       int    `json:"kind"`
	Start      int64  `json:"startTimeUnixNano,string"`
	End        int64  `json:"endTimeUnixNano,string"`
	Attributes []struct {
		Key   string         `json:"key"`
		Value map[string]any `json:"value"`
	} `json:"attributes"`
	Status struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"status"`
}

// attr gives an attribute's value.
func (s otlpSpan) attr(key string) any {
	for _, a := range s.Attributes {
		if a.Key == key {
			for _, v := range a.Value {
				return v
			}
		}
	}
	return nil
}

func newCollector(t *testing.T) *collector {
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m struct {
			ResourceSpans []struct {
				Resource   map[string]any `json:"resource"`
				ScopeSpans []struct {
					Scope map[string]any `json:"scope"`
					Spans []otlpSpan     `json:"spans"`
				} `json:"scopeSpans"`
			} `json:"resourceSpans"`
		}
		d := json.NewDecoder(r.Body)
		d.DisallowUnknownFields()
		if err := d.Decode(&m); err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %v", r.URL.Path, err)
			w.WriteHeader(400)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.heads = append(c.heads, r.Header)
		for _, rs := range m.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				c.spans = append(c.spans, ss.Spans...)
			}
		}
		w.Write([]byte("{}"))
	}))
	t.Cleanup(c.Close)
	return c
}

// A request is followed to the remote job: its span, that of its work, and one for each attempt, in the trace of the client.
func TestTracesGoFromTheRequestToTheRemoteJob(t *testing.T) {
	otel := newCollector(t)
	c := serve(t, Options{Getenv: func(name string) string {
		return map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": otel.URL, "OTEL_EXPORTER_OTLP_HEADERS": "X-Team=render%20farm", "OTEL_SERVICE_NAME": "renders"}[name]
	}})
	traced := strings.Repeat("ab", 16)
	parent := "00-" + traced + "-" + strings.Repeat("cd", 8) + "-01"
	id := c.want(202, "POST", "/api/v1/batches", small("traced", 2), header{"traceparent": parent})["id"].(string)
	c.ended(id)
	c.want(200, "POST", "/v2/preview/runsync", map[string]any{"input": map[string]any{"workflow": flow(9)}}, nil) // begins a trace of its own
	c.want(200, "POST", "/v2/preview/run", map[string]any{"input": map[string]any{"workflow": flow(8)}}, header{"traceparent": strings.TrimSuffix(parent, "01") + "00"})
	c.want(200, "GET", "/api/v1/status", nil, nil) // looking is not traced unasked
	_, text := c.do("GET", "/metrics", nil, nil)
	if !strings.Contains(string(text), "comfyc_trace_spans_dropped_total 0") {
		t.Error("/metrics does not count dropped spans")
	}
	c.stop() // sends what is left
	otel.mu.Lock()
	defer otel.mu.Unlock()
	byName := map[string][]otlpSpan{}
	byID := map[string]otlpSpan{}
	for _, s := range otel.spans {
		if b, err := hex.DecodeString(s.TraceID + s.SpanID); err != nil || len(b) != 24 || s.End < s.Start || s.Start == 0 {
			t.Errorf("span %+v", s)
		}
		byID[s.SpanID] = s
		if s.TraceID == traced {
			byName[s.Name] = append(byName[s.Name], s)
		}
		if strings.HasPrefix(s.Name, "GET") {
			t.Errorf("a look was traced: %s", s.Name)
		}
	}
	if len(byName["POST /api/v1/batches"]) != 1 || len(byName["batch"]) != 1 || len(byName["attempt"]) == 0 {
		t.Fatalf("spans of the batch: %v", byName)
	}
	request, work := byName["POST /api/v1/batches"][0], byName["batch"][0]
	if request.Parent != strings.Repeat("cd", 8) || request.Kind != 2 || request.attr("http.response.status_code") != "202" || request.attr("comfyc.request") == nil {
		t.Errorf("the request %+v", request)
	}
	if work.Parent != request.SpanID || work.attr("comfyc.work") != id || work.attr("comfyc.state") != "done" || work.Status.Code != 1 {
		t.Errorf("the work %+v", work)
	}
	for _, a := range byName["attempt"] {
		if a.Parent != work.SpanID || a.Kind != 3 || a.attr("comfyc.remote") == "" || a.attr("comfyc.endpoint") != "preview" || a.attr("comfyc.state") != "collected" {
			t.Errorf("an attempt %+v", a)
		}
	}
	jobs := 0
	for _, s := range otel.spans {
		if s.Name == "runpod" {
			jobs++
			if p := byID[s.Parent]; p.Name != "POST /v2/{pool}/runsync" || p.TraceID != s.TraceID || p.Parent != "" {
				t.Errorf("the job's parent is %+v", p)
			}
		}
	}
	if jobs != 1 {
		t.Errorf("%d jobs were traced; the third request's trace is not sampled", jobs)
	}
	for _, h := range otel.heads {
		if h.Get("X-Team") != "render farm" {
			t.Errorf("headers %v", h)
		}
	}
}

// A collector that is not there costs no request anything; what is lost is counted.
func TestACollectorThatIsAway(t *testing.T) {
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	c := serve(t, Options{Getenv: func(name string) string { return map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": away.URL}[name] }})
	c.ended(c.want(202, "POST", "/api/v1/batches", small("untold", 1), nil)["id"].(string))
	c.stop()
	if sent, dropped := c.svc.tracer.Counts(); sent != 0 || dropped < 3 {
		t.Errorf("sent %d, dropped %d", sent, dropped)
	}
	for _, bad := range []string{"ftp://x", "localhost:4318", "://"} {
		if s, err := Open(t.Context(), Options{Dir: t.TempDir(), Address: "127.0.0.1:0", Getenv: func(name string) string { return map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": bad}[name] }}); err == nil {
			s.Close()
			t.Errorf("%s was taken", bad)
		}
	}
}
