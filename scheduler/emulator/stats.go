package emulator

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Stats is what an emulator has counted since it was made, and how it stands.
type Stats struct {
	Endpoints []EndpointStats `json:"endpoints"` // in the configuration's order
}

// Endpoint gives the statistics of one endpoint; zero if there is none of the name.
func (s Stats) Endpoint(name string) EndpointStats {
	for _, ep := range s.Endpoints {
		if ep.Name == name {
			return ep
		}
	}
	return EndpointStats{}
}

// EndpointStats is about one endpoint.
type EndpointStats struct {
	Name string `json:"name"`
	GPU  string `json:"gpu,omitempty"`
	Counters
	Queued         int     `json:"queued"`
	Running        int     `json:"running"`
	Workers        int     `json:"workers"` // starting ones included
	BusyWorkers    int     `json:"busy_workers"`
	WorkersStarted int     `json:"workers_started"` // cold starts, and the ones that are always on
	WorkerSeconds  float64 `json:"worker_seconds"`  // cold starts, work and idling
	CostUSD        float64 `json:"cost_usd"`
	// Struck counts how often each of the endpoint's faults struck, in the order of its configuration.
	Struck []int `json:"struck,omitempty"`
	// Prompts counts the runs of each distinct prompt, save prefixes and titles left out; sorted by hash.
	Prompts []PromptCount `json:"prompts,omitempty"`
	// Prefixes counts the runs of each filename_prefix of a saving node, so that fused renders are told apart; sorted.
	Prefixes []PrefixCount `json:"prefixes,omitempty"`
	// Uncounted runs came after the two lists were full (200,000 entries).
	Uncounted int `json:"uncounted,omitempty"`
}

// PromptCount says how often a prompt was run on a worker.
type PromptCount struct {
	Hash     string `json:"hash"` // SHA-256, hex; of an echo endpoint: of the input as it came
	Executed int    `json:"executed"`
}

// PrefixCount says how often a prompt with this filename_prefix was run on a worker.
type PrefixCount struct {
	Prefix   string `json:"prefix"`
	Executed int    `json:"executed"`
}

// Counters count requests and jobs.
type Counters struct {
	Submits     int `json:"submits"`      // requests to submit, refused and lost ones included
	Accepted    int `json:"accepted"`     // jobs
	Executed    int `json:"executed"`     // runs on a worker: what is paid for
	Cached      int `json:"cached"`       // runs answered from the worker's cache
	Completed   int `json:"completed"`    // jobs, and so on
	Failed      int `json:"failed"`       //
	Cancelled   int `json:"cancelled"`    //
	TimedOut    int `json:"timed_out"`    //
	Retried     int `json:"retried"`      //
	Expired     int `json:"expired"`      // results that were asked for too late
	Polls       int `json:"polls"`        // requests of a job's state
	Cancels     int `json:"cancels"`      // requests
	StatCalls   int `json:"stat_calls"`   // requests
	Fetches     int `json:"fetches"`      // requests of files
	Uploads     int `json:"uploads"`      // requests
	Webhooks    int `json:"webhooks"`     // deliveries that were answered with 2xx
	RateLimited int `json:"rate_limited"` // requests answered 429 because of a rate or the queue's limit
	Faults      int `json:"faults"`       // requests struck by a fault
	BytesIn     int `json:"bytes_in"`     // of bodies
	BytesOut    int `json:"bytes_out"`    // of bodies
	OutputBytes int `json:"output_bytes"` // of jobs
}

func (c *Counters) count(s state) {
	switch s {
	case completed:
		c.Completed++
	case failed:
		c.Failed++
	case cancelled:
		c.Cancelled++
	case timedOut:
		c.TimedOut++
	}
}

func (c *Counters) request(op Op) {
	switch op {
	case Submit:
		c.Submits++
	case Status:
		c.Polls++
	case Cancel:
		c.Cancels++
	case Stat:
		c.StatCalls++
	case Fetch:
		c.Fetches++
	case Upload:
		c.Uploads++
	}
}

// tally counts runs by prompt and by prefix.
// Two bounded maps: an endless test with ever new prompts must not fill the memory.
type tally struct {
	prompts, prefixes map[string]int
	uncounted         int
}

// run counts one run, as long as there is room for new names.
func (t *tally) run(hash string, prefixes []string) {
	if len(t.prompts) >= keepJobs || len(t.prefixes) >= keepJobs {
		t.uncounted++
		return
	}
	if t.prompts == nil {
		t.prompts, t.prefixes = map[string]int{}, map[string]int{}
	}
	t.prompts[hash]++
	for _, p := range prefixes {
		t.prefixes[p]++
	}
}

// Stats gives the statistics of all endpoints.
func (e *Emulator) Stats() Stats {
	var s Stats
	for _, ep := range e.endpoints {
		s.Endpoints = append(s.Endpoints, ep.stats())
	}
	return s
}

// stats copies everything under the lock, so that the numbers of one answer belong together.
func (ep *endpoint) stats() EndpointStats {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	_, busy, _ := ep.pool.count()
	s := EndpointStats{
		Name: ep.Name, GPU: ep.GPU, Counters: ep.counters, Queued: len(ep.waiting), Running: ep.running,
		Workers: len(ep.pool.boxes), BusyWorkers: busy, WorkersStarted: ep.pool.started,
		WorkerSeconds: ep.pool.billed(time.Now()), Uncounted: ep.tally.uncounted, Struck: slices.Clone(ep.dice.struck),
	}
	s.CostUSD = s.WorkerSeconds * ep.Price
	for _, hash := range slices.SortedFunc(maps.Keys(ep.tally.prompts), cmp.Compare) {
		s.Prompts = append(s.Prompts, PromptCount{hash, ep.tally.prompts[hash]})
	}
	for _, prefix := range slices.SortedFunc(maps.Keys(ep.tally.prefixes), cmp.Compare) {
		s.Prefixes = append(s.Prefixes, PrefixCount{prefix, ep.tally.prefixes[prefix]})
	}
	return s
}
