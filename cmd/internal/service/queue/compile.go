package queue

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/render/run"
	"github.com/comfyc/comfyc/scheduler/dialect"
	"github.com/comfyc/comfyc/scheduler/emulator"
)

// openEndpoints holds that every configured endpoint can be opened, and counts its places.
// A configuration that cannot run (a key that must not go to its host, an unknown type) ends the start of the service, not the
// first job. Places are at least 1, or nothing would ever have its turn.
func (q *Queue) openEndpoints() error {
	for _, cfg := range q.Config.Endpoints {
		end, err := dialect.Open(cfg, q.deps(tree{}))
		if err != nil {
			return err
		}
		q.places[cfg.Name] = max(1, end.Properties().Limits.InFlight)
	}
	return nil
}

// deps is what a work's endpoints need. Uploads come from the work's own files, keys from the machine.
// A name that did not come with the request is not there, whatever lies on the disk. The one exception is the key_file of a
// configured endpoint, and only under exactly that name.
func (q *Queue) deps(files tree) dialect.Deps {
	read := func(name string) ([]byte, error) {
		if files.files[name] == nil && slices.ContainsFunc(q.Config.Endpoints, func(e compiler.EndpointConfig) bool { return e.KeyFile != "" && e.KeyFile == name }) {
			return os.ReadFile(name)
		}
		return files.read(name)
	}
	return dialect.Deps{Getenv: q.Getenv, ReadFile: read, Transport: q.transport, Preview: q.preview, Supports: run.CannotRun}
}

// preview gives the way to the emulator of a preview endpoint, which all works share.
// Started at the first use and stopped with the queue. One for each endpoint: its limits and cold starts are counted over all
// works.
func (q *Queue) preview(cfg compiler.EndpointConfig) (http.RoundTripper, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p := q.previews[cfg.Name]; p != nil {
		return p.client, nil
	}
	c, findings := emulator.ParsePreview(cfg.Emulator) // of the configuration; an error is the operator's
	if len(findings) > 0 {
		return nil, &run.FindingsError{Findings: findings}
	}
	e, err := emulator.New(c)
	if err != nil {
		return nil, err
	}
	client, _, stop := e.Listen()
	q.previews[cfg.Name] = &preview{client, func() { stop(); _ = e.Close() }}
	return client, nil
}

// source is a request as the compiler takes it.
// Run is set because a work will run: what only a plan may lack is an error now. Keys come from the server's environment, never
// from the batch.
func (q *Queue) source(r *Request, files tree) compiler.Source {
	return compiler.Source{
		File: source.NewFile(r.Name, r.Body), FS: files, Catalogue: q.Catalogue, EndpointsFile: q.EndpointsFile, Endpoints: r.Endpoints,
		// Nothing is read from this folder; it says that the server's own files do not lie beside the batch.
		Dir:     filepath.Join(q.Dir, "none"),
		Env:     func(name string) (string, bool) { v := q.Getenv(name); return v, v != "" },
		Scripts: q.Scripts, Run: true, MaxUSD: r.MaxUSD,
	}
}

// Compile makes the plan of a request. The plan is nil if there is an error among the findings.
// At most MaxRenders renders, and none that the configured dialects cannot run: both are findings, so that the client reads
// them like any other. It may take seconds for a large sweep; ctx ends it.
func (q *Queue) Compile(ctx context.Context, r *Request) (*compiler.Plan, []diag.Diagnostic) {
	return q.compile(ctx, r, newTree(r, ""))
}

// compile is Compile for works whose files lie in a folder.
func (q *Queue) compile(ctx context.Context, r *Request, files tree) (*compiler.Plan, []diag.Diagnostic) {
	plan, findings := compiler.Compile(ctx, q.source(r, files))
	if plan == nil {
		return nil, findings
	}
	// The sweep is lazy: counting needs no memory for the renders.
	if plan.Len() > q.MaxRenders {
		return nil, append(findings, diag.Errorf("too_large", diag.InFile(source.NewFile(r.Name, nil)), "the batch has %d renders; this service takes %d", plan.Len(), q.MaxRenders))
	}
	if unfit := run.Unsupported(plan); len(unfit) > 0 {
		return nil, append(findings, unfit...)
	}
	return plan, findings
}

// Check is compiler.Check with the service's catalogue and endpoints.
// It neither stores nor submits. The file need not be a batch; then r only lends its files.
func (q *Queue) Check(ctx context.Context, r *Request, file *source.File, targets []string) compiler.Report {
	src := q.source(r, newTree(r, ""))
	src.File = nil
	return compiler.Check(ctx, file, compiler.CheckOptions{Catalogue: q.Catalogue, Targets: targets, Batch: src})
}

// Verdict is what compiling a request said, without the plan.
// A plan of 100,000 renders is too much to remember; its size and name are enough for an answer.
type Verdict struct {
	OK       bool              // no finding is an error
	Name     string            // of the batch
	Renders  int               // of the plan, duplicates counted once
	Findings []diag.Diagnostic // sorted by place
}

// verdictKey is a SHA-256, which cannot be made to collide by a client, so nobody is answered with the verdict of somebody else.
type verdictKey [sha256.Size]byte

// verdicts remembers what was said of the last requests: clients send the same ones again and again.
// A verdict depends on the request and on the configuration, which stays as it is while the process lives.
type verdicts struct {
	mu     sync.Mutex
	byHash map[verdictKey]Verdict // at most maxVerdicts
}

// maxVerdicts bounds what is remembered; larger requests than maxRemembered are not.
// What goes when it is full is any one: a map has no order, and none is needed.
const (
	maxVerdicts   = 128
	maxRemembered = 256 << 10 // bytes of body and files together
)

// Judge compiles a request, or remembers what came of an equal one.
// Two equal requests at the same time may both compile; the second only overwrites the first. A compilation that was cut off by
// ctx is not remembered.
func (q *Queue) Judge(ctx context.Context, r *Request) Verdict {
	key, small := r.hash()
	if small {
		q.verdicts.mu.Lock()
		v, known := q.verdicts.byHash[key]
		q.verdicts.mu.Unlock()
		if known {
			return v
		}
	}
	plan, findings := q.Compile(ctx, r)
	v := Verdict{OK: plan != nil, Findings: findings}
	if plan != nil {
		v.Name, v.Renders = plan.Name(), plan.Len()
	}
	if small && ctx.Err() == nil {
		q.verdicts.mu.Lock()
		for old := range q.verdicts.byHash {
			if len(q.verdicts.byHash) < maxVerdicts {
				break
			}
			delete(q.verdicts.byHash, old)
		}
		q.verdicts.byHash[key] = v
		q.verdicts.mu.Unlock()
	}
	return v
}

// hash names what a verdict depends on.
// Every part is written with its length before it, so that no two different requests give the same bytes.
func (r *Request) hash() (key verdictKey, small bool) {
	size := len(r.Body)
	for _, f := range r.Files {
		size += len(f.Data)
	}
	if size > maxRemembered {
		return key, false
	}
	h := sha256.New()
	part := func(b []byte) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
		h.Write(b)
	}
	part([]byte(r.Name))
	part(r.Body)
	part([]byte(fmt.Sprintf("%q %v", r.Endpoints, r.MaxUSD)))
	for _, f := range r.Files {
		part([]byte(f.Path))
		part(f.Data)
	}
	h.Sum(key[:0])
	return key, true
}
