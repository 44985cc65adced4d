package queue

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/cmd/internal/service/outgoing"
	"github.com/comfyc/comfyc/cmd/internal/service/seal"
	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/nodes"
	"github.com/comfyc/comfyc/nodes/script"
	"github.com/comfyc/comfyc/render/s3"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/lease"
)

// Pool is a named set of endpoints with an objective, as the service offers it.
// Names are [a-z0-9-], as they stand in paths.
type Pool struct {
	Name      string              // "[a-z0-9-]+"
	Endpoints []string            // at least one; the scheduler chooses among them
	Objective scheduler.Objective // "" means balanced
	Timeout   time.Duration       // of one job's execution; 0 means the scheduler's
}

// Config of a queue. All but the durations and numbers is needed.
type Config struct {
	Dir           string // the data folder
	Ledger        *ledger.Ledger
	Leases        *lease.Queue              // where replicas share the ledger; else nil
	Ring          *keys.Ring                // who asks, and with which limits
	Courier       *outgoing.Courier         // webhooks, and inputs that come by an address
	Box           *seal.Box                 // nil without COMFYC_STATE_KEY
	Catalogue     *nodes.Catalogue          // node classes known; read-only
	Endpoints     []compiler.EndpointConfig // configured ones, the preview endpoint among them
	EndpointsFile string                    // that Endpoints were read from, "" for none
	Pools         []Pool                    // by name; unknown endpoints in one are an error of New
	Files         *s3.Bucket                // where files of works are; nil for Dir
	Getenv        func(string) string       // for keys and credentials
	Scripts       script.Options            // how node templates run
	Replica       string                    // unique among the replicas
	Log           *slog.Logger
	Now           func() time.Time

	// Payload is the body of a job's webhook, as its face says it; nil, or an answer of nil, sends the message that batches send.
	Payload func(ledger.Work) []byte

	// Watch hears of works that run here; nil for nobody.
	Watch Watcher

	MaxBatches int           // that run at one time; 0 means 16
	MaxRenders int           // of one batch; 0 means 100,000
	KeepBatch  time.Duration // after its end; 0 means 30 days
	KeepJob    time.Duration // after its end; 0 means 6 hours
}

// Watcher hears what happens to the works that run on this replica, for traces. Its methods are called from many goroutines, those about one
// work one after the other, and must not block.
type Watcher interface {
	// Begins tells that a work's turn has come. parent is the trace that its submit belonged to, in the form of a traceparent header; "" for none.
	Begins(w ledger.Work, parent string)
	// Attempt tells an attempt's new state.
	Attempt(work string, at time.Time, e scheduler.AttemptEvent)
	// Ends tells how a work ended, or, with a state that is not final, that it is given up to a later turn.
	Ends(w ledger.Work, at time.Time)
}

const (
	// Silence is how long a replica may show no sign of life before its works are taken over.
	// It is six beats, so that one or two that are lost on the way do not cost a work its holder.
	Silence   = 30 * time.Second
	beatEvery = 5 * time.Second // how often a replica says that it lives
	lookEvery = 2 * time.Second // for works of other replicas
	// otherReplica is how often the row of a work is looked at that another replica has.
	otherReplica = 250 * time.Millisecond
)

// Queue runs works. See the package's documentation.
// Its lock is never held while the ledger or the network is waited for.
type Queue struct {
	Config
	pools     map[string]*Pool // by name; not changed after New
	places    map[string]int   // of each endpoint: jobs in flight
	transport *http.Transport  // shared by all works, so that connections are
	verdicts  verdicts         // of compilations, behind a lock of its own

	mu      sync.Mutex                         // guards all maps below
	fair    *fair                              // whose turn it is
	live    map[string]*live                   // that run here
	waiting map[string]*ticket                 // that wait, by id
	load    map[string]float64                 // of each endpoint
	jobLoad map[string]float64                 // the part of it that jobs are
	tallies map[tallyKey]*Tally                // by pool and owner, for /health
	health  map[string]scheduler.EndpointEvent // what runs have last said of endpoints

	// Where replicas share the ledger:
	own       *lease.Places        // what the jobs of this replica have of the endpoints
	shares    *broker              // nil without Postgres, and until Run
	loads     []ledger.Load        // works of all replicas, as of the last look
	granted   map[string]int       // places of all replicas, likewise
	observeds map[string]*observed // batches that somebody listens to here
	stands    map[string]totals    // by batch; as old as totalsAge at most
	answered  time.Time            // when the last beat that was answered was sent

	previews map[string]*preview // by the name of the endpoint
	closing  bool                // nothing is taken any more

	amiss atomic.Bool    // a row may have neither a line nor a run here: it is looked for at the next beat
	kick  chan struct{}  // one place: a wish to look again, however often it is wished
	tasks sync.WaitGroup // running works
}

// preview is the emulator of one endpoint of the type preview, started when it is first needed.
type preview struct {
	client http.RoundTripper // over an in-memory listener
	stop   func()            // ends the emulator and its goroutines
}

// New makes a queue. Run must be called for anything to happen.
// It opens each endpoint once, to learn its limits; no call is made. An endpoint that a pool names and the configuration lacks
// is an error.
func New(c Config) (*Queue, error) {
	c.MaxBatches, c.MaxRenders = orInt(c.MaxBatches, 16), orInt(c.MaxRenders, 100_000)
	c.KeepBatch, c.KeepJob = orTime(c.KeepBatch, 30*24*time.Hour), orTime(c.KeepJob, 6*time.Hour)
	q := &Queue{Config: c, pools: map[string]*Pool{}, places: map[string]int{}, fair: newFair(), live: map[string]*live{}, waiting: map[string]*ticket{},
		load: map[string]float64{}, jobLoad: map[string]float64{}, tallies: map[tallyKey]*Tally{}, health: map[string]scheduler.EndpointEvent{},
		observeds: map[string]*observed{}, stands: map[string]totals{}, answered: time.Now(), previews: map[string]*preview{}, kick: make(chan struct{}, 1)}
	// Many works poll the same few hosts: without more idle connections than the default of 2 for each, every poll would be a
	// new TLS handshake.
	q.transport = http.DefaultTransport.(*http.Transport).Clone()
	q.transport.MaxIdleConns, q.transport.MaxIdleConnsPerHost = 1024, 256
	q.verdicts.byHash = map[verdictKey]Verdict{}
	if err := q.openEndpoints(); err != nil {
		return nil, err
	}
	for i := range c.Pools {
		p := &c.Pools[i]
		for _, name := range p.Endpoints {
			if q.places[name] == 0 {
				return nil, fmt.Errorf("pool %s: there is no endpoint %q", p.Name, name)
			}
		}
		q.pools[p.Name] = p
	}
	return q, nil
}

// orInt gives a number, or another one if it is not set.
// Negative ones count as not set.
func orInt(n, otherwise int) int {
	if n <= 0 {
		return otherwise
	}
	return n
}

// orTime gives a duration, or another one if it is not set.
func orTime(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}
