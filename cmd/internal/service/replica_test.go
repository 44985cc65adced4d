package service

import (
	"strings"
	"testing"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/scheduler/store/pgtest"
)

// Two replicas share a database and a folder: any of them answers for any batch, events included, and one goes on with what another left.
func TestReplicas(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: Postgres is not started")
	}
	dir, url := t.TempDir(), pgtest.New(t)
	file, ends := slowEndpoint(t, dir, "endpoints: {slow: {type: preview, emulator: {execution: 1h}}}\n")
	start := func() *client {
		return serve(t, Options{Dir: dir, Postgres: url, EndpointsFile: file, Endpoints: ends})
	}
	a, b := start(), start()
	key := a.addKey(keys.Limits{})
	eventually(t, "the other replica knows the key", func() bool { return b.svc.Ring.Find(t.Context(), key) != nil })
	a, b = a.as(key), b.as(key)
	id := a.want(202, "POST", "/api/v1/batches", small("shared", 3), header{"Idempotency-Key": "k"})["id"].(string)
	if again := b.want(202, "POST", "/api/v1/batches", small("shared", 3), header{"Idempotency-Key": "k"}); again["id"] != id {
		t.Errorf("the other replica made another batch: %v", again)
	}
	heard := b.events(id, "") // ends when the batch does
	if end := b.ended(id); end["state"] != "done" {
		t.Fatalf("ended %v", end)
	}
	if n := strings.Count(strings.Join(kinds(heard), " "), "render"); n != 3 {
		t.Errorf("the other replica told of %d renders", n)
	}
	for _, c := range []*client{a, b} {
		if n := len(c.want(200, "GET", "/api/v1/batches/"+id+"/renders", nil, nil)["renders"].([]any)); n != 3 {
			t.Errorf("%d renders", n)
		}
		c.want(200, "GET", "/api/v1/batches/"+id+"/gallery/manifest.json", nil, nil)
	}
	slow := small("slow", 1)
	slow["endpoints"] = []string{"slow"}
	id = a.want(202, "POST", "/api/v1/batches", slow, nil)["id"].(string)
	eventually(t, "it runs", func() bool { return b.want(200, "GET", "/api/v1/batches/"+id, nil, nil)["state"] == "running" })
	a.want(202, "DELETE", "/api/v1/batches/"+id, nil, nil)
	if end := b.ended(id); end["state"] != "cancelled" {
		t.Errorf("cancelled by one: %v", end)
	}
	job := a.want(200, "POST", "/v2/preview/run", map[string]any{"input": map[string]any{"workflow": flow(1)}}, nil)["id"].(string)
	if s := b.want(200, "GET", "/v2/preview/status-sync/"+job, nil, nil); s["status"] != "COMPLETED" {
		t.Errorf("a job through the other replica: %v", s["status"])
	}
}

func kinds(events []event) (out []string) {
	for _, e := range events {
		out = append(out, e.kind)
	}
	return out
}
