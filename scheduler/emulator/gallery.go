package emulator

import (
	"context"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"sync"

	"github.com/comfyc/comfyc/scheduler/emulator/worker"
)

// gallery is the output folder of an endpoint's ComfyUI: the numbers of its files, and the cache by which an identical prompt gives the
// same files again. Unlike in reality all workers of an endpoint share it. It has a lock of its own.
type gallery struct {
	mu    sync.Mutex
	next  map[string]int     // the number of the next file, by prefix; from 1
	cache map[string]*cached // by work.key
	order []string           // of the cache, oldest first
}

// saved is a file that a run saved.
type saved struct {
	node, filename, subfolder, folder string // folder: output or temp
	blob                              *blob  // nil data once memory has dropped it
}

// cached is what a prompt gave.
type cached struct {
	files    []saved
	executed int // nodes of the run that made them
}

// keepPrompts is how many prompts the cache knows; the files' bytes are bounded by Config.Memory.
const keepPrompts = 4096

// result is what a run gave.
type result struct {
	files    []saved
	fails    []worker.NodeError
	executed int // nodes
	cached   bool
}

// run renders a job's prompt, or finds it in the cache.
func (g *gallery) run(ctx context.Context, ep *endpoint, w *work) (*result, error) {
	if r := g.find(&ep.em.vault, w); r != nil {
		ep.locked(func() { ep.counters.Cached++ })
		return r, nil
	}
	got, err := ep.em.config.Runner(ctx, w.prompt, worker.Options{
		Inputs: w.input, Counter: g.reserve, Targets: w.targets, Extra: w.extra,
	})
	if err != nil {
		return nil, err
	}
	if got == nil {
		return nil, fmt.Errorf("the runner gave no result")
	}
	r := &result{fails: got.Errors, executed: got.Executed}
	for _, f := range got.Files {
		r.files = append(r.files, saved{f.Node, f.Filename, f.Subfolder, f.Type, ep.em.vault.put(f.Data)})
	}
	g.keep(w, r)
	return r, nil
}

// input gives an upload to the worker.
func (w *work) input(name string) ([]byte, error) {
	if c := w.inputs[name]; c != nil {
		return c.data, nil
	}
	return nil, fmt.Errorf("open input/%s: %w", name, fs.ErrNotExist)
}

// reserve gives the next file number of a prefix. The run counts on from there by itself; keep catches up.
func (g *gallery) reserve(prefix string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.next == nil {
		g.next = map[string]int{}
	}
	n := max(g.next[prefix], 1)
	g.next[prefix] = n + 1
	return n
}

// SaveImage writes PREFIX_00001_.png: five digits, more only beyond 99,999.
var numbered = regexp.MustCompile(`^(.*)_(\d{5,9})_\.\w+$`)

// keep notes the numbers that a run used, and its files for the same prompt again if nothing failed.
func (g *gallery) keep(w *work, r *result) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, f := range r.files {
		if m := numbered.FindStringSubmatch(f.filename); m != nil {
			prefix := m[1]
			if f.subfolder != "" {
				prefix = f.subfolder + "/" + prefix
			}
			if n, err := strconv.Atoi(m[2]); err == nil && g.next[prefix] > 0 {
				g.next[prefix] = max(g.next[prefix], n+1)
			}
		}
	}
	// ComfyUI caches per node, so what failed runs again; here it is the whole prompt or nothing.
	if len(r.fails) > 0 {
		return
	}
	if g.cache == nil {
		g.cache = map[string]*cached{}
	}
	if g.cache[w.key()] == nil {
		g.order = append(g.order, w.key())
	}
	g.cache[w.key()] = &cached{r.files, r.executed}
	if len(g.order) > keepPrompts {
		delete(g.cache, g.order[0])
		g.order = g.order[1:]
	}
}

// key is what the cache knows a job by: all that makes its files, and which outputs were asked for.
func (w *work) key() string { return fmt.Sprint(w.files, w.targets) }

// find gives what an identical prompt made, if all of its files are still there.
func (g *gallery) find(v *vault, w *work) *result {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.cache[w.key()]
	if c == nil {
		return nil
	}
	for _, f := range c.files {
		if _, ok := v.get(f.blob); !ok {
			return nil
		}
	}
	return &result{files: c.files, executed: c.executed, cached: true}
}
