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
func (q *Queue) preview(cfg compiler.EndpointConfig) (http.RoundTripper, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p := q.previews[cfg.Name]; p != nil {
		return p.client, nil
	}
	c, findings := emulator.ParsePreview(cfg.Emulator)
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
func (q *Queue) Compile(ctx context.Context, r *Request) (*compiler.Plan, []diag.Diagnostic) {
	return q.compile(ctx, r, newTree(r, ""))
}

func (q *Queue) compile(ctx context.Context, r *Request, files tree) (*compiler.Plan, []diag.Diagnostic) {
	plan, findings := compiler.Compile(ctx, q.source(r, files))
	if plan == nil {
		return nil, findings
	}
	if plan.Len() > q.MaxRenders {
		return nil, append(findings, diag.Errorf("too_large", diag.InFile(source.NewFile(r.Name, nil)), "the batch has %d renders; this service takes %d", plan.Len(), q.MaxRenders))
	}
	if unfit := run.Unsupported(plan); len(unfit) > 0 {
		return nil, append(findings, unfit...)
	}
	return plan, findings
}

// Check is compiler.Check with the service's catalogue and endpoints.
func (q *Queue) Check(ctx context.Context, r *Request, file *source.File, targets []string) compiler.Report {
	src := q.source(r, newTree(r, ""))
	src.File = nil
	return compiler.Check(ctx, file, compiler.CheckOptions{Catalogue: q.Catalogue, Targets: targets, Batch: src})
}

// Verdict is what compiling a request said, without the plan.
type Verdict struct {
	OK       bool
	Name     string
	Renders  int
	Findings []diag.Diagnostic
}

type verdictKey [sha256.Size]byte

// verdicts remembers what was said of the last requests: clients send the same ones again and again.
type verdicts struct {
	mu     sync.Mutex
	byHash map[verdictKey]Verdict
}

// maxVerdicts bounds what is remembered; larger requests than maxRemembered are not.
const (
	maxVerdicts   = 512
	maxRemembered = 256 << 10
)

// Judge compiles a request, or remembers what came of an equal one.
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
