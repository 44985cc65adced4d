package queue

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
)

// market is what all replicas share, as a broker sees it.
type market struct {
	mu     sync.Mutex
	places int // that are free for this replica, what it has included
	fail   error
	trades []scheduler.Want
}

func (m *market) trade(_ context.Context, want scheduler.Want) (g scheduler.Grant, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trades = append(m.trades, want)
	for _, w := range want.Endpoints {
		g.Endpoints = append(g.Endpoints, scheduler.EndpointGrant{Places: max(w.InFlight, min(w.Places, m.places)), Submits: w.Submits, Runs: 1})
	}
	return g, m.fail
}

func (m *market) set(places int, fail error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.places, m.fail = places, fail
}

func (m *market) last() scheduler.EndpointWant {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.trades[len(m.trades)-1].Endpoints[0]
}

func (m *market) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.trades)
}

// withBroker runs a test in virtual time.
func withBroker(t *testing.T, places int, test func(t *testing.T, m *market, b *broker)) {
	synctest.Test(t, func(t *testing.T) {
		m := &market{places: places}
		b := newBroker(m.trade)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); b.run(ctx) }()
		test(t, m, b)
		stop()
		<-done
	})
}

// ask is a job's Trade for one endpoint.
func ask(t *testing.T, s *jobShare, inFlight, places, submits int) scheduler.EndpointGrant {
	t.Helper()
	g, err := s.Trade(t.Context(), scheduler.Want{InFlight: inFlight, Endpoints: []scheduler.EndpointWant{
		{Name: "e", Limits: compiler.Limits{InFlight: 4}, InFlight: inFlight, Places: places, Submits: submits}}})
	if err != nil {
		t.Fatal(err)
	}
	if !g.Broke {
		t.Error("a job waits for other jobs' money")
	}
	return g.Endpoints[0]
}

func TestJobsShareTheReplicasPlaces(t *testing.T) {
	withBroker(t, 1, func(t *testing.T, m *market, b *broker) {
		first, second := b.join(), b.join()
		if g := ask(t, first, 0, 2, 2); g.Places != 1 || g.Submits != 1 {
			t.Errorf("the first job got %+v", g)
		}
		if g := ask(t, first, 1, 1, 0); g.Places != 1 {
			t.Errorf("the first job keeps %+v", g)
		}
		if g := ask(t, second, 0, 2, 2); g.Places != 0 {
			t.Errorf("the second job got the first one's place: %+v", g)
		}
		trades := m.count()
		go func() { // while the second waits
			time.Sleep(10 * time.Millisecond)
			first.leave(false)
		}()
		start := time.Now()
		if g := ask(t, second, 0, 2, 1); g.Places != 1 || time.Since(start) > 20*time.Millisecond {
			t.Errorf("the second job got %+v after %v", g, time.Since(start))
		}
		if n := m.count() - trades; n > 2 {
			t.Errorf("waiting for a place that passes from job to job cost %d trades", n)
		}
		second.leave(false)
		time.Sleep(time.Second)
		if w := m.last(); w.Places != 0 {
			t.Errorf("with no job left the replica wants %d places", w.Places)
		}
	})
}

// A job that an earlier run left on the remote has its place whatever there is, and others get none while there is one too many.
func TestAJobThatIsThereHasItsPlace(t *testing.T) {
	withBroker(t, 1, func(t *testing.T, m *market, b *broker) {
		fresh, left := b.join(), b.join()
		if g := ask(t, left, 1, 1, 0); g.Places != 1 {
			t.Errorf("the job that is there got %+v", g)
		}
		if g := ask(t, fresh, 0, 1, 1); g.Places != 0 {
			t.Errorf("another job got %+v", g)
		}
		fresh.leave(false)
		left.leave(true)
		if !b.settle(t.Context()) {
			t.Error("the job that was left is forgotten")
		}
		if w := m.last(); w.Places != 1 || w.InFlight != 1 {
			t.Errorf("for the job that was left %d places are kept, %d in flight", w.Places, w.InFlight)
		}
	})
}

// What jobs find is told to the other replicas once, and again if it was not heard. Submits are fetched ahead.
func TestNewsAndTrouble(t *testing.T) {
	withBroker(t, 4, func(t *testing.T, m *market, b *broker) {
		away := errors.New("the database is away")
		m.set(4, away)
		s := b.join()
		want := scheduler.Want{Endpoints: []scheduler.EndpointWant{{Name: "e", Places: 1, Submits: 1, Pause: time.Minute, Open: true, Code: "c"}}}
		if _, err := s.Trade(t.Context(), want); !errors.Is(err, away) {
			t.Errorf("the trouble is not told: %v", err)
		}
		m.set(4, nil)
		if g := ask(t, s, 0, 1, 1); g.Places != 1 || g.Submits != 1 {
			t.Errorf("got %+v", g)
		}
		if w := m.last(); w.Pause != time.Minute || !w.Open || w.Code != "c" {
			t.Errorf("told %+v", w)
		}
		trades := m.count()
		other := b.join()
		if g := ask(t, other, 0, 1, 1); g.Places != 1 || g.Submits != 1 {
			t.Errorf("got %+v", g)
		}
		if w := m.last(); m.count() > trades && w.Pause != 0 {
			t.Errorf("told again: %+v", w)
		}
		s.leave(false)
		other.leave(false)
	})
}
