package emulator

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

// platform holds what the platforms document of themselves. The sizes are bytes: of the body of a /run, of a /runsync, and of the output that a
// status answer carries. syncRetention is for results of /runsync. 0 means no limit is documented.
type platform struct {
	runBytes, syncBytes, outputBytes int64
	retention, syncRetention         time.Duration
	submit, status, cancel           int // per 10 s
	queueWord                        string
}

// platforms as documented; 0 where nothing is. Novita writes its sizes in MiB, RunPod in MB. RunPod's rates are per 10 s: 1000 submits, 2000 status calls, 100 cancels. A ComfyUI server takes
// bodies up to 100 MiB and forgets results with its history, for which a day stands here.
var platforms = map[Dialect]platform{
	Novita:  {4 << 20, 4 << 20, 4 << 20, 6 * time.Hour, 6 * time.Hour, 0, 0, 0, "PENDING"},
	RunPod:  {10_000_000, 20_000_000, 20_000_000, 30 * time.Minute, time.Minute, 1000, 2000, 100, "IN_QUEUE"},
	ComfyUI: {100 << 20, 100 << 20, 0, 24 * time.Hour, 24 * time.Hour, 0, 0, 0, "pending"},
}

// purgesPer10s is how many calls of purge-queue RunPod documents.
const purgesPer10s = 2

// maxBody bounds every body, whatever a configuration says.
const maxBody = 256 << 20

// withDefaults fills the zero fields in and says what cannot be meant.
func (c Config) withDefaults() (Config, error) {
	if len(c.Endpoints) == 0 {
		c.Endpoints = []Endpoint{{Name: "preview"}}
	}
	// Zero and negative alike: an emulator without a bound would fill the memory of a long test.
	if c.Memory <= 0 {
		c.Memory = 512 << 20
	}
	if c.Fetched <= 0 {
		c.Fetched = c.Memory
	}
	if c.Parallel <= 0 {
		c.Parallel = runtime.GOMAXPROCS(0)
	}
	// The caller's list stays as it was, as the defaults are filled in by pointers.
	c.Endpoints = slices.Clone(c.Endpoints)
	seen := map[string]bool{}
	for i := range c.Endpoints {
		ep := &c.Endpoints[i]
		if err := ep.fill(); err != nil {
			return c, fmt.Errorf("endpoint %q: %w", ep.Name, err)
		}
		if seen[ep.Name] {
			return c, fmt.Errorf("endpoint %q is there twice", ep.Name)
		}
		seen[ep.Name] = true
	}
	return c, nil
}

// fill sets what was left out of one endpoint. The platform's values are those of the first dialect.
func (ep *Endpoint) fill() error {
	if !goodName(ep.Name) {
		return fmt.Errorf("a name has letters, digits, dots, dashes and underscores")
	}
	if len(ep.Dialects) == 0 {
		ep.Dialects = []Dialect{RunPod, Novita, ComfyUI}
	}
	for _, d := range ep.Dialects {
		if _, ok := platforms[d]; !ok {
			return fmt.Errorf("unknown dialect %q", d)
		}
	}
	if _, err := formOf(ep.Worker); err != nil {
		return err
	}
	p := platforms[ep.Dialects[0]]
	ep.MaxWorkers = ep.maxWorkers()
	ep.Concurrency = max(ep.Concurrency, 1)
	ep.IdleTimeout = orDuration(ep.IdleTimeout, 5*time.Second)
	ep.ExecutionTimeout = orDuration(ep.ExecutionTimeout, 10*time.Minute)
	ep.TTL = orDuration(ep.TTL, 24*time.Hour)
	ep.OutputBytes = orLimit(ep.OutputBytes, p.outputBytes)
	ep.SubmitPer10s = int(orLimit(int64(ep.SubmitPer10s), int64(p.submit)))
	ep.StatusPer10s = int(orLimit(int64(ep.StatusPer10s), int64(p.status)))
	ep.CancelPer10s = int(orLimit(int64(ep.CancelPer10s), int64(p.cancel)))
	if ep.Outputs == "" {
		ep.Outputs = Base64
	}
	if !slices.Contains([]Delivery{Base64, URL, Path, JobBucket}, ep.Outputs) {
		return fmt.Errorf("unknown outputs %q", ep.Outputs)
	}
	return checkFaults(ep.Faults)
}

// maxWorkers is never less than MinWorkers; a ComfyUI server is one process, which runs one prompt after the other. 3 is what RunPod
// gives a new endpoint.
func (ep *Endpoint) maxWorkers() int {
	n := ep.MaxWorkers
	if n <= 0 {
		n = max(3, runtime.GOMAXPROCS(0))
		if ep.Dialects[0] == ComfyUI {
			n = 1
		}
	}
	return max(n, ep.MinWorkers, 1)
}

// orDuration keeps a negative one, which means none or at once.
func orDuration(d, zero time.Duration) time.Duration {
	if d == 0 {
		return zero
	}
	return d
}

// orLimit reads a limit: 0 is the platform's, negative is none, which is 0 from here on.
func orLimit(n, zero int64) int64 {
	if n == 0 {
		return zero
	}
	return max(n, 0)
}

// goodName tells whether a name can stand in a path as it is. It also becomes a part of worker ids and of the seed of faults.
func goodName(name string) bool {
	return name != "" && len(name) <= 100 && strings.IndexFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r))
	}) < 0
}

// form is the worker's form of input and output.
type form uint8

const (
	formComfyUI    form = iota // worker-comfyui from 5.0.0 on
	formComfyUIOld             // worker-comfyui below 5.0.0
	formNovita                 // novitalabs/comfyui-worker
	formEcho
)

// formOf reads a worker image's name. "runpod/worker-comfyui:4.1.0" is the old form, ":5.5.0-flux1-dev", ":latest" and no tag the new one.
func formOf(image string) (form, error) {
	name, tag, _ := strings.Cut(image, ":")
	switch {
	case image == "":
		return formComfyUI, nil
	case image == "echo":
		return formEcho, nil
	case strings.Contains(name, "worker-comfyui"):
		if len(tag) > 1 && tag[0] >= '0' && tag[0] < '5' && tag[1] == '.' {
			return formComfyUIOld, nil
		}
		return formComfyUI, nil
	case strings.Contains(name, "comfyui-worker"):
		return formNovita, nil
	}
	return 0, fmt.Errorf("unknown worker %q: runpod/worker-comfyui:TAG, novitalabs/comfyui-worker:TAG or echo", image)
}
