package queue

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/cmd/internal/service/outgoing"
	"github.com/comfyc/comfyc/cmd/internal/service/seal"
	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/nodes"
	"github.com/comfyc/comfyc/nodes/script"
	"github.com/comfyc/comfyc/scheduler"
)

// Pool is a named set of endpoints with an objective, as the service offers it.
type Pool struct {
	Name      string
	Endpoints []string
	Objective scheduler.Objective // "" means balanced
	Timeout   time.Duration       // of one job's execution; 0 means the scheduler's
}

// Config of a queue. All but the durations and numbers is needed.
type Config struct {
	Dir           string // the data folder
	Ledger        *ledger.Ledger
	Ring          *keys.Ring
	Courier       *outgoing.Courier
	Box           *seal.Box // nil without COMFYC_STATE_KEY
	Catalogue     *nodes.Catalogue
	Endpoints     []compiler.EndpointConfig
	EndpointsFile string // that Endpoints were read from, "" for none
	Pools         []Pool
	Getenv        func(string) string
	Scripts       script.Options
	Replica       string // unique among the replicas
	Log           *slog.Logger
	Now           func() time.Time

	// Payload is the body of a job's webhook, as its face says it; nil, or an answer of nil, sends the message that batches send.
	Payload func(ledger.Work) []byte

	MaxBatches int           // that run at one time; 0 means 16
	MaxRenders int           // of one batch; 0 means 100,000
	KeepBatch  time.Duration // after its end; 0 means 30 days
	KeepJob    time.Duration // after its end; 0 means 6 hours
}

const (
	// Silence is how long a replica may show no sign of life before its works are taken over.
	Silence   = 30 * time.Second
	beatEvery = 5 * time.Second
	lookEvery = 2 * time.Second // for works of other replicas
	// otherReplica is how often the row of a work is looked at that another replica has.
	otherReplica = 250 * time.Millisecond
)

// Queue runs works. See the package's documentation.
type Queue struct {
	Config
	pools     map[string]*Pool
	places    map[string]int // of each endpoint: jobs in flight
	transport *http.Transport
	verdicts  verdicts

	mu       sync.Mutex
	fair     *fair
	live     map[string]*live   // that run here
	waiting  map[string]*ticket // that wait, by id
	load     map[string]float64 // of each endpoint
	jobLoad  map[string]float64 // the part of it that jobs are
	tallies  map[tallyKey]*Tally
	health   map[string]scheduler.EndpointEvent // what runs have last said of endpoints
	previews map[string]*preview
	closing  bool

	kick  chan struct{}
	tasks sync.WaitGroup // running works
}

// preview is the emulator of one endpoint of the type preview, started when it is first needed.
type preview struct {
	client http.RoundTripper
	stop   func()
}

// New makes a queue. Run must be called for anything to happen.
func New(c Config) (*Queue, error) {
	c.MaxBatches, c.MaxRenders = orInt(c.MaxBatches, 16), orInt(c.MaxRenders, 100_000)
	c.KeepBatch, c.KeepJob = orTime(c.KeepBatch, 30*24*time.Hour), orTime(c.KeepJob, 6*time.Hour)
	q := &Queue{Config: c, pools: map[string]*Pool{}, places: map[string]int{}, fair: newFair(), live: map[string]*live{}, waiting: map[string]*ticket{},
		load: map[string]float64{}, jobLoad: map[string]float64{}, tallies: map[tallyKey]*Tally{}, health: map[string]scheduler.EndpointEvent{},
		previews: map[string]*preview{}, kick: make(chan struct{}, 1)}
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
