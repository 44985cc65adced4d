package service

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/render/s3"
	"github.com/comfyc/comfyc/scheduler/store/pgtest"
)

// team starts replicas in this process that share a database, a folder and a remote.
type team struct {
	t      *testing.T
	dir    string
	url    string
	remote *remote
	limit  int // of jobs in flight
	key    string
	first  *client // that underWay started

	files  *s3.Config // nil: dir is all replicas'; see withBucket
	getenv func(string) string
}

func newTeam(t *testing.T, limit int) *team {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: Postgres is not started")
	}
	return &team{t: t, dir: t.TempDir(), url: pgtest.New(t), remote: newRemote(t), limit: limit}
}

// join starts one more.
func (m *team) join() *client {
	m.t.Helper()
	file, ends := m.remote.endpoints(m.t, m.limit)
	dir := m.dir
	if m.files != nil {
		dir = m.t.TempDir()
	}
	c := serve(m.t, Options{Dir: dir, Postgres: m.url, EndpointsFile: file, Endpoints: ends, Getenv: m.getenv, Config: Config{Files: m.files}})
	c.dir = dir
	if m.key == "" {
		return c
	}
	eventually(m.t, "the replica knows the key", func() bool { return c.svc.Ring.Find(m.t.Context(), m.key) != nil })
	return c.as(m.key)
}

// use makes a key that all replicas that come later use.
func (m *team) use(c *client, limits keys.Limits) *client {
	m.key = c.addKey(limits)
	return c.as(m.key)
}

// onCloud is a batch of renders for the team's remote.
func onCloud(name string, renders int) map[string]any {
	b := small(name, renders)
	b["endpoints"] = []string{"cloud"}
	b["schedule"] = map[string]any{"fuse": "off"}
	return b
}

func (c *client) submit(batch map[string]any, h header) string {
	c.t.Helper()
	return c.want(202, "POST", "/api/v1/batches", batch, h)["id"].(string)
}

func (c *client) cancel(id string) {
	c.t.Helper()
	c.want(202, "DELETE", "/api/v1/batches/"+id, nil, nil)
}

// stands gives a batch's state.
func (c *client) stands(id string) any {
	c.t.Helper()
	return c.want(200, "GET", "/api/v1/batches/"+id, nil, nil)["state"]
}

// stored leaves the events out that have no number: totals and the like.
func stored(events []event) []event {
	return slices.DeleteFunc(slices.Clone(events), func(e event) bool { return e.id == "" })
}

// owners lists the replicas that hold slices of a batch.
func (c *client) owners(id string) []string {
	c.t.Helper()
	s, err := c.svc.leases.Status(c.t.Context(), id)
	if err != nil {
		return nil // not handed out yet
	}
	var out []string
	for _, slice := range s.Slices {
		if slice.State == "held" {
			out = append(out, slice.Owner)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Three replicas share a database and a folder: any of them answers for any batch, events included, under the same numbers; all of them work on it,
// and the endpoint's places are those of all replicas, of batches and of single jobs together.
func TestReplicas(t *testing.T) {
	m := newTeam(t, 6)
	a := m.join()
	a = m.use(a, keys.Limits{})
	b, c := m.join(), m.join()
	eventually(t, "the replicas know of each other", func() bool {
		for _, r := range []*client{a, b, c} {
			if r.svc.Queue.Others() != 2 {
				return false
			}
		}
		return true
	})
	id := a.submit(onCloud("shared", 96), header{"Idempotency-Key": "k"})
	if again := b.submit(onCloud("shared", 96), header{"Idempotency-Key": "k"}); again != id {
		t.Errorf("the other replica made another batch: %v", again)
	}
	b.want(409, "POST", "/api/v1/batches", onCloud("shared", 95), header{"Idempotency-Key": "k"})
	heard := make(chan []event, 1)
	go func() { heard <- b.events(id, "") }() // ends when the batch does
	eventually(t, "several replicas work on it", func() bool { return len(b.owners(id)) > 1 })
	var jobs []string
	for i, r := range []*client{a, b, c, a, b, c} {
		jobs = append(jobs, r.want(200, "POST", "/v2/cloud/run", map[string]any{"input": map[string]any{"workflow": flow(1000 + i)}}, nil)["id"].(string))
	}
	eventually(t, "all places are taken", func() bool { n, _, _ := m.remote.now(); return n == 6 })
	for _, r := range []*client{a, b, c} {
		if got := r.want(200, "GET", "/api/v1/batches/"+id, nil, nil); got["state"] != "running" || got["totals"] == nil {
			t.Errorf("one replica says: %v", got)
		}
	}
	m.remote.gate(true)
	if end := c.ended(id); end["state"] != "done" || end["result"].(map[string]any)["done"] != 96.0 {
		t.Fatalf("ended %v", end)
	}
	first := stored(<-heard)
	if n := strings.Count(strings.Join(kinds(first), " "), "render"); n != 96 || first[0].kind != "state" || !strings.Contains(first[len(first)-1].data, `"done"`) {
		t.Errorf("another replica told of %d renders, first %v, last %v", n, first[0], first[len(first)-1])
	}
	for _, r := range []*client{a, b, c} {
		if got := stored(r.events(id, first[9].id)); fmt.Sprint(got) != fmt.Sprint(first[10:]) {
			t.Errorf("gone on with after the tenth event: %d events, want %d", len(got), len(first)-10)
		}
		if n := len(r.want(200, "GET", "/api/v1/batches/"+id+"/renders", nil, nil)["renders"].([]any)); n != 96 {
			t.Errorf("%d renders", n)
		}
		r.want(200, "GET", "/api/v1/batches/"+id+"/gallery/manifest.json", nil, nil)
	}
	for i, job := range jobs {
		r := []*client{b, c, a}[i%3]
		eventually(t, "a job ends", func() bool {
			return r.want(200, "GET", "/v2/cloud/status-sync/"+job, nil, nil)["status"] == "COMPLETED"
		})
	}
	if _, most, _ := m.remote.now(); most > 6 {
		t.Errorf("%d jobs were in flight, and 6 are allowed", most)
	}
	m.remote.once(t, 96+len(jobs))
}

// A batch that is cancelled at another replica ends everywhere, and is done when it is retried at a third.
func TestReplicasCancelAndRetry(t *testing.T) {
	m := newTeam(t, 4)
	a := m.join()
	a = m.use(a, keys.Limits{})
	b, c := m.join(), m.join()
	id := a.submit(onCloud("cancel me", 20), nil)
	eventually(t, "it is under way", func() bool { n, _, _ := m.remote.now(); return n == 4 })
	c.cancel(id)
	if end := b.ended(id); end["state"] != "cancelled" {
		t.Fatalf("ended %v", end)
	}
	eventually(t, "the remote jobs are cancelled", func() bool { n, _, _ := m.remote.now(); return n == 0 })
	before := stored(b.events(id, ""))
	m.remote.gate(true)
	c.want(202, "POST", "/api/v1/batches/"+id+"/retry", nil, nil)
	if end := a.ended(id); end["state"] != "done" {
		t.Fatalf("after the retry: %v", end)
	}
	after := stored(c.events(id, before[len(before)-1].id))
	if len(after) == 0 || after[0].kind != "state" || !strings.Contains(after[0].data, `"running"`) || !strings.Contains(after[len(after)-1].data, `"done"`) {
		t.Errorf("the second turn: %v", after)
	}
	waiting := a.submit(onCloud("purged", 1), nil)
	a.ended(waiting)
	b.want(204, "DELETE", "/api/v1/batches/"+waiting+"?purge=true", nil, nil)
	c.want(404, "GET", "/api/v1/batches/"+waiting, nil, nil)
}

// Replicas are restarted one after the other while a batch and a job are under way: nothing is submitted again, and nothing cancelled.
func TestReplicasAreRestarted(t *testing.T) {
	m := newTeam(t, 6)
	a := m.join()
	a = m.use(a, keys.Limits{})
	b := m.join()
	id := a.submit(onCloud("restarted", 48), nil)
	job := a.want(200, "POST", "/v2/cloud/run", map[string]any{"input": map[string]any{"workflow": flow(1000)}}, nil)["id"].(string)
	eventually(t, "they are under way", func() bool { n, _, _ := m.remote.now(); return n == 6 })
	for range 2 {
		next := m.join()
		a.stop()
		a, b = b, next
		eventually(t, "another one has it", func() bool { return len(b.owners(id)) > 0 })
	}
	m.remote.gate(true)
	if end := b.ended(id); end["state"] != "done" {
		t.Fatalf("ended %v", end)
	}
	eventually(t, "the job ends", func() bool {
		return a.want(200, "GET", "/v2/cloud/status-sync/"+job, nil, nil)["status"] == "COMPLETED"
	})
	if _, most, cancels := m.remote.now(); cancels > 0 || most > 6 {
		t.Errorf("%d jobs were cancelled, and %d in flight", cancels, most)
	}
	m.remote.once(t, 49)
}

// What a key may run at one time holds for all replicas together.
func TestReplicasAndOneKey(t *testing.T) {
	m := newTeam(t, 6)
	a := m.join()
	a = m.use(a, keys.Limits{Concurrent: 1})
	b := m.join()
	first := a.submit(onCloud("first", 2), nil)
	eventually(t, "it runs", func() bool { return b.stands(first) == "running" })
	second := b.submit(onCloud("second", 2), nil)
	third := b.submit(onCloud("third", 2), nil)
	eventually(t, "the first one's jobs are under way", func() bool { n, _, _ := m.remote.now(); return n == 2 })
	if s, u := a.stands(second), a.stands(third); s != "waiting" || u != "waiting" {
		t.Errorf("two of a key's works run at one time: %v, %v", s, u)
	}
	m.remote.gate(true)
	for _, id := range []string{first, second, third} {
		if end := a.ended(id); end["state"] != "done" {
			t.Errorf("ended %v", end)
		}
	}
	if n := m.remote.accepted(); n != 6 {
		t.Errorf("%d jobs for 6 renders", n)
	}
}

func kinds(events []event) (out []string) {
	for _, e := range events {
		out = append(out, e.kind)
	}
	return out
}
