package scheduler

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/comfyc/comfyc/scheduler/durable"
)

// Speeds is what runs have learned of endpoints: how long each kind of graph takes there, and how long workers take to start. A run begins with
// it and adds to it at its end (Options.Speeds). The zero value is empty and ready; it may be shared by runs that go on at the same time, and
// is kept between processes by Save and LoadSpeeds. It holds no names but those of endpoints, and no prompts: kinds of graphs are hashes.
type Speeds struct {
	mu   sync.Mutex
	data speedData
}

// speedData is the file.
type speedData struct {
	Version   int             `json:"version"`
	Kinds     []kindSpeed     `json:"kinds"`
	Endpoints []endpointSpeed `json:"endpoints"`
}

// kindSpeed is one kind of graph on one endpoint. Durations are in seconds.
type kindSpeed struct {
	Kind     string    `json:"kind"` // hex
	Endpoint string    `json:"endpoint"`
	GPU      string    `json:"gpu"`
	Worker   string    `json:"worker,omitempty"` // image
	Jobs     float64   `json:"jobs"`             // that it was learned from; old ones count less and less
	Mean     float64   `json:"mean"`
	Paid     []float64 `json:"paid"`  // some that stand for all, rising
	Whole    []float64 `json:"whole"` // the same from begin to end, as polls see it
	Answer   float64   `json:"answer_bytes,omitempty"`
	Seen     time.Time `json:"seen"`
}

type endpointSpeed struct {
	Endpoint string    `json:"endpoint"`
	Cold     []float64 `json:"cold,omitempty"` // starts of workers
	Gap      []float64 `json:"gap,omitempty"`  // between two jobs on a worker
	Seen     time.Time `json:"seen"`
}

const (
	// The bounds keep the file small and quick to read: it is read at the start of each run. 15 points are enough to draw a distribution again.
	speedsVersion  = 1
	maxKindSpeeds  = 512
	maxSpeedsBytes = 4 << 20
	speedPoints    = 15                  // that stand for a distribution
	halfLife       = 14 * 24 * time.Hour // after which half as many jobs count
	forgotten      = 0.5                 // jobs; fewer are dropped
)

// LoadSpeeds reads what Save wrote. A file that is missing, of another version or damaged gives an empty Speeds: it costs nothing but a
// slow start. The error is for the curious.
func LoadSpeeds(path string) (*Speeds, error) {
	s := &Speeds{}
	f, err := os.Open(path)
	if err != nil {
		return s, err
	}
	defer f.Close()
	// A larger file is cut off and so is no JSON: it is thrown away like any damaged one.
	text, err := io.ReadAll(io.LimitReader(f, maxSpeedsBytes))
	if err != nil {
		return s, err
	}
	var data speedData
	if err := json.Unmarshal(text, &data); err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	if data.Version != speedsVersion || !data.sane() {
		return s, fmt.Errorf("%s: it is not of this version, or damaged", path)
	}
	s.data = data
	return s, nil
}

// sane tells whether all figures can be worked with: no figure that is negative, not a number, or above 10^7 seconds, and no list of more than 64.
func (d *speedData) sane() bool {
	ok := func(list ...float64) bool {
		return len(list) <= 64 && !slices.ContainsFunc(list, func(x float64) bool { return math.IsNaN(x) || x < 0 || x > 1e7 })
	}
	for _, k := range d.Kinds {
		if !ok(k.Jobs, k.Mean) || math.IsNaN(k.Answer) || k.Answer < 0 || k.Answer > 1<<40 || !ok(k.Paid...) || !ok(k.Whole...) {
			return false
		}
	}
	for _, e := range d.Endpoints {
		if !ok(e.Cold...) || !ok(e.Gap...) {
			return false
		}
	}
	return len(d.Kinds) <= maxKindSpeeds
}

// Save writes it to a file, which is there whole or not at all. The folder is made if it is missing.
func (s *Speeds) Save(path string) error {
	s.mu.Lock()
	s.data.Version = speedsVersion
	text, err := json.Marshal(s.data)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return durable.WriteFile(path, 0o600, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// aged is how much of what was learned some time ago still counts.
func aged(jobs float64, since time.Duration) float64 {
	return jobs * math.Exp2(-max(since, 0).Hours()/halfLife.Hours())
}

// recallSpeeds takes over what earlier runs learned of the endpoints of this one. Kinds of graphs are looked up as they come.
func (c *core) recallSpeeds(s *Speeds) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.data.Kinds {
		// On another GPU, or with another image, the same name says nothing.
		if ep := c.byName(k.Endpoint); ep != nil && ep.GPU == k.GPU && ep.Properties.Worker == k.Worker {
			if ep.recalled == nil {
				ep.recalled = map[string]kindSpeed{}
			}
			ep.recalled[k.Kind] = k
		}
	}
	for _, e := range s.data.Endpoints {
		if ep := c.byName(e.Endpoint); ep != nil {
			ep.colds.recall(e.Cold)
			ep.gaps.recall(e.Gap)
		}
	}
}

// recall adds durations in seconds.
func (s *samples) recall(seconds []float64) {
	for _, x := range seconds {
		s.add(time.Duration(x * float64(time.Second)))
	}
}

// recall fills an estimate with what earlier runs learned.
func (e *estimate) recall(k kindSpeed, now time.Time) {
	jobs := aged(k.Jobs, now.Sub(k.Seen))
	// Better a fresh guess than one job of a month ago.
	if jobs < forgotten {
		return
	}
	e.paid.recall(k.Paid)
	e.whole.recall(k.Whole)
	// What earlier runs saw weighs at most as much as 250 jobs, so that a run finds out within a few hundred if things have changed.
	e.long = average{n: min(jobs, longMemory/4), mean: k.Mean}
	for _, x := range k.Paid {
		e.long.square += (x - k.Mean) * (x - k.Mean) / float64(len(k.Paid))
		e.worst = max(e.worst, time.Duration(x*float64(time.Second)))
	}
	e.peak = k.Answer
	e.before = e.long.n
}

// kindName writes a kind's hash as it stands in the file: JSON numbers lose digits of 64 bits.
func kindName(key uint64) string { return fmt.Sprintf("%016x", key) }

// keepSpeeds adds what this run learned.
func (c *core) keepSpeeds(s *Speeds) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, g := range c.classes {
		for _, ep := range c.endpoints {
			// Only what this run has seen something of: else its date would be renewed for nothing. Pictures that were drawn tell no speeds.
			if e := &g.estimate[ep.index]; e.long.n > e.before && !ep.Preview {
				s.data.put(kindSpeed{Kind: kindName(key), Endpoint: ep.Name, GPU: ep.GPU, Worker: ep.Properties.Worker, Jobs: e.long.n, Mean: e.long.mean,
					Paid: e.paid.points(), Whole: e.whole.points(), Answer: e.peak, Seen: c.now})
			}
		}
	}
	for _, ep := range c.endpoints {
		if ep.colds.len()+ep.gaps.len() > 0 && !ep.Preview {
			s.data.putEndpoint(endpointSpeed{Endpoint: ep.Name, Cold: ep.colds.points(), Gap: ep.gaps.points(), Seen: c.now})
		}
	}
	s.data.trim()
}

// points gives some samples that stand for all.
func (s *samples) points() (list []float64) {
	n := len(s.sorted)
	for i := range min(n, speedPoints) {
		// The middles of equal parts: of 64 samples those with the numbers 2, 6, 10 and so on.
		list = append(list, s.sorted[(2*i+1)*n/(2*min(n, speedPoints))].Seconds())
	}
	return list
}

// put replaces what was known of a kind on an endpoint: what this run recalled of it is part of the new figures.
func (d *speedData) put(k kindSpeed) {
	for i := range d.Kinds {
		if o := &d.Kinds[i]; o.Kind == k.Kind && o.Endpoint == k.Endpoint {
			*o = k
			return
		}
	}
	d.Kinds = append(d.Kinds, k)
}

func (d *speedData) putEndpoint(e endpointSpeed) {
	for i := range d.Endpoints {
		if d.Endpoints[i].Endpoint == e.Endpoint {
			d.Endpoints[i] = e
			return
		}
	}
	d.Endpoints = append(d.Endpoints, e)
}

// trim drops what was seen the longest ago, and puts the rest in order.
func (d *speedData) trim() {
	slices.SortFunc(d.Kinds, func(a, b kindSpeed) int { return b.Seen.Compare(a.Seen) })
	d.Kinds = d.Kinds[:min(len(d.Kinds), maxKindSpeeds)]
	slices.SortFunc(d.Kinds, func(a, b kindSpeed) int {
		return cmp.Or(cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Kind, b.Kind))
	})
	slices.SortFunc(d.Endpoints, func(a, b endpointSpeed) int { return b.Seen.Compare(a.Seen) })
	d.Endpoints = d.Endpoints[:min(len(d.Endpoints), maxKindSpeeds)]
	slices.SortFunc(d.Endpoints, func(a, b endpointSpeed) int { return cmp.Compare(a.Endpoint, b.Endpoint) })
}
