package lease

import (
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
)

// own asks for places at one endpoint for a machine's own runs, and gives how many it has.
func own(t *testing.T, p *Places, inFlight, wanted, limit int) int {
	t.Helper()
	g, err := p.Trade(ctx, scheduler.Want{InFlight: inFlight, Parallel: wanted, Endpoints: []scheduler.EndpointWant{
		{Name: "cloud", Limits: compiler.Limits{InFlight: limit}, InFlight: inFlight, Places: wanted, Submits: wanted}}})
	if err != nil {
		t.Fatal(err)
	}
	return g.Endpoints[0].Places
}

func places(t *testing.T, q *Queue, name string) *Places {
	t.Helper()
	p, err := q.Places(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Machines' own runs share an endpoint with each other and with slices. What a dead machine left on remotes keeps its places for a while.
func TestPlaces(t *testing.T) {
	q, _ := newQueue(t)
	a, b := places(t, q, "a"), places(t, q, "b")
	if n := own(t, a, 0, 10, 6); n != 6 {
		t.Errorf("alone it got %d of 6 places", n)
	}
	if n := own(t, b, 0, 10, 6); n != 0 {
		t.Errorf("%d places were free, and none was", n)
	}
	if n := own(t, a, 2, 10, 6); n != 3 {
		t.Errorf("with another that wants some it keeps %d", n)
	}
	if n := own(t, b, 0, 10, 6); n != 3 {
		t.Errorf("the other one got %d", n)
	}
	a.beat(ctx)
	if n := a.Others(); n != 1 {
		t.Errorf("it sees %d others", n)
	}
	dead := func(ago time.Duration) {
		if _, err := q.db.Pool.Exec(ctx, "UPDATE slices SET heartbeat = clock_timestamp() - make_interval(secs => $1) WHERE owner = 'a'", ago.Seconds()); err != nil {
			t.Fatal(err)
		}
		b.beat(ctx)
	}
	dead(Silence + time.Second)
	if n := own(t, b, 3, 10, 6); n != 3 || b.Others() != 0 {
		t.Errorf("of a machine that died just now it got %d places, and sees %d others", n-3, b.Others())
	}
	if n, err := q.sweep(ctx); err != nil || n != 0 {
		t.Errorf("%d slices were handed out that are none, %v", n, err)
	}
	dead(settled + time.Second)
	if n := own(t, b, 3, 10, 6); n != 6 {
		t.Errorf("after a while it has %d", n)
	}
	_, err := a.Trade(ctx, scheduler.Want{}) // finds that it was taken for dead
	if err == nil {
		t.Error("a machine that was taken for dead did not notice")
	}
	if n := own(t, a, 1, 1, 6); n != 0 {
		t.Errorf("a machine that was taken for dead got %d places", n)
	}
	if err := b.Close(ctx, false); err != nil {
		t.Fatal(err)
	}
	if n := own(t, a, 1, 1, 6); n != 1 {
		t.Errorf("after the other one has gone it has %d", n)
	}
	if ids, err := q.Batches(ctx, "", 10); err != nil || len(ids) != 0 {
		t.Errorf("batches %v, %v", ids, err)
	}
}

// What somebody tells comes to all watchers, in order, with its number; a turn is begun once.
func TestToldAndAgain(t *testing.T) {
	q, url := newQueue(t)
	b := fakeBatch(10, 1)
	b.ID, b.Told = "one", []Told{{Kind: "state", Data: []byte(`{"state":"running"}`)}}
	for range 2 {
		if id := submit(t, q, b); id != "one" {
			t.Fatalf("id %q", id)
		}
	}
	p := newPlatform(0)
	p.fail[3] = true
	machine(t, url, p, 1)
	await(t, q, "one", "ended", ended)
	before := p.submitted(3)
	for range 2 {
		if err := q.Tell(ctx, "one", Told{Kind: "state", Data: []byte(`{"state":"incomplete"}`)}); err != nil {
			t.Fatal(err)
		}
		if err := q.Again(ctx, "one", Again{Turn: 1, Failed: true}); err != nil {
			t.Fatal(err)
		}
		await(t, q, "one", "ended", ended)
	}
	list, err := q.Events(ctx, "one", 0)
	if err != nil || len(list) == 0 || list[0].Told == nil || string(list[0].Told.Data) != `{"state":"running"}` {
		t.Fatalf("%+v, %v", list, err)
	}
	last, err := q.Last(ctx, "one")
	if err != nil || last.Told == nil || last.Told.Kind != "state" || last.Seq != list[len(list)-1].Seq {
		t.Errorf("the last one: %+v, %v", last, err)
	}
	if n := p.submitted(3); n != 2*before {
		t.Errorf("the render that failed was submitted %d times in one turn, and %d in two", before, n)
	}
}

// submitted tells how often a render was submitted.
func (p *platform) submitted(render int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.submits[render]
}
