package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render"
	"github.com/comfyc/comfyc/render/post"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect"
	"github.com/comfyc/comfyc/scheduler/emulator"
	"github.com/comfyc/comfyc/scheduler/store"
)

// session is one run of a plan in a run directory: the endpoints, the state, the collector.
type session struct {
	env    *Env
	plan   *compiler.Plan
	dir    string
	store  *store.SQLite
	sink   *render.Collector
	recipe post.Recipe // of output.post
	ends   []scheduler.Endpoint
	stops  []func() // of emulators
}

// openSession opens endpoints first (nothing is written if one cannot be), then the directory.
func openSession(env *Env, plan *compiler.Plan, recipe post.Recipe, dir string, allowKeys []string) (*session, error) {
	s := &session{env: env, plan: plan, recipe: recipe, dir: dir}
	if err := s.openEndpoints(allowKeys); err != nil {
		s.close()
		return nil, err
	}
	if err := s.openDir(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *session) close() {
	if s.store != nil {
		_ = s.store.Close()
	}
	for _, stop := range s.stops {
		stop()
	}
}

func (s *session) openEndpoints(allowKeys []string) error {
	deps := dialect.Deps{Getenv: s.env.Getenv, Preview: s.preview, Supports: cannotRun, AllowKeys: map[string][]string{}}
	for _, pair := range allowKeys {
		name, host, _ := strings.Cut(pair, "=")
		deps.AllowKeys[name] = append(deps.AllowKeys[name], host)
	}
	for _, cfg := range s.plan.Endpoints() {
		end, err := dialect.Open(cfg, deps)
		if err != nil {
			return exitf(exitInput, "%v", err)
		}
		s.ends = append(s.ends, end)
	}
	return nil
}

// preview starts the in-memory emulator of an endpoint of the type preview.
func (s *session) preview(cfg compiler.EndpointConfig) (http.RoundTripper, error) {
	c, findings := emulator.ParsePreview(cfg.Emulator)
	if len(findings) > 0 {
		return nil, s.env.failed(findings)
	}
	e, err := emulator.New(c)
	if err != nil {
		return nil, err
	}
	client, _, stop := e.Listen()
	s.stops = append(s.stops, func() { stop(); _ = e.Close() })
	return client, nil
}

// openDir opens the state and the collector.
func (s *session) openDir() error {
	var err error
	s.store, err = store.Open(s.dir)
	var locked *store.LockedError
	if errors.As(err, &locked) {
		return exitf(exitInput, "%v\nWait for it, or stop it; two runs cannot share a folder.", locked)
	} else if err != nil {
		return exitf(exitInput, "open the run directory: %v", err)
	}
	s.sink = &render.Collector{Dir: s.dir, Recipe: s.recipe, Token: s.token, Name: func(i int, f render.FileInfo) (string, error) {
		return s.plan.FileName(s.plan.CoordinatesOf(i)[0], compiler.Facts{Batch: f.Batch, Width: f.Width, Height: f.Height, Time: s.env.Now()}), nil
	}}
	return nil
}

// run does the work. ctx ends at Ctrl-C.
func (s *session) run(ctx context.Context, opts scheduler.Options) (scheduler.Summary, error) {
	if err := s.claim(ctx); err != nil {
		return scheduler.Summary{}, err
	}
	opts.Keep = s.keep
	return scheduler.Run(ctx, s.plan, s.ends, s.store, s.sink, opts)
}

// claim tells the collector which names are taken by renders that are still in the plan.
func (s *session) claim(ctx context.Context) error {
	index := make(map[compiler.RenderID]int, s.plan.Len())
	for i := range s.plan.Len() {
		index[s.plan.RenderID(i)] = i
	}
	for r, err := range s.store.Records(ctx) {
		if err != nil {
			return fmt.Errorf("read the batch's state: %w", err)
		}
		if i, ok := index[r.ID]; ok && len(r.Files) > 0 {
			s.sink.Claim(i, r.Files)
		}
	}
	return nil
}

// keep tells whether what an earlier run did still counts: all files are there with their sizes, and a preview does not stand in for a
// picture of a real endpoint.
func (s *session) keep(r scheduler.Record) bool {
	for _, f := range r.Files {
		info, err := os.Stat(filepath.Join(s.dir, filepath.FromSlash(f.Path)))
		if err != nil || info.Size() != f.Bytes {
			return false
		}
	}
	return s.previewing() || !drawn(r)
}

// previewing tells whether the endpoints are previews; the scheduler refuses a mixture.
func (s *session) previewing() bool {
	return len(s.ends) > 0 && s.ends[0].Properties().Preview
}

// writeGallery makes manifest.json, index.html and index.csv from the state.
func (s *session) writeGallery(ctx context.Context) error {
	return writeGallery(ctx, s.env, s.plan, s.store, s.dir)
}

func writeGallery(ctx context.Context, env *Env, plan *compiler.Plan, st scheduler.Store, dir string) error {
	records := make(map[compiler.RenderID]scheduler.Record, plan.Len())
	for r, err := range st.Records(ctx) {
		if err != nil {
			return fmt.Errorf("read the batch's state: %w", err)
		}
		records[r.ID] = r
	}
	meta, err := st.Meta(ctx)
	if err != nil {
		return fmt.Errorf("read the batch's state: %w", err)
	}
	g := plan.Batch().Gallery
	m := render.Build(render.Batch{
		Name: plan.Name(), Plan: plan.Hash(), Created: meta.Started, Updated: meta.Updated, Axes: plan.Axes(),
		Layout:      render.Layout{Title: g.Title, Rows: g.Rows, Cols: g.Cols, Pages: g.Pages},
		Coordinates: plan.Coordinates(), Coordinate: plan.Coordinate,
		Params: func(i int) (compiler.RenderID, compiler.Params) { return plan.RenderID(i), plan.Params(i) },
		Record: func(i int) (scheduler.Record, bool) { r, ok := records[plan.RenderID(i)]; return r, ok },
	})
	return m.WriteRun(dir, render.GalleryOptions{})
}

// token gives the value of a token in a text of output.post.
func (s *session) token(i int, f render.FileInfo, token string) (string, bool) {
	return render.TokenText(s.plan.Axes(), s.plan.Coordinate(s.plan.CoordinatesOf(i)[0]), s.plan.Params(i), f, token)
}

// options are the scheduler's, as the batch has them.
func (s *session) options() scheduler.Options {
	b := s.plan.Batch()
	o := scheduler.Options{Name: b.Name, MaxParallel: b.Schedule.MaxParallel, Retries: b.Schedule.Retries, FailFast: b.Schedule.FailFast,
		Deadline: b.Schedule.Deadline, Objective: scheduler.Objective(b.Schedule.Objective), Fuse: b.Schedule.Fuse, Seed: b.Seed}
	if b.Schedule.BudgetUSD > 0 {
		o.Budget = &b.Schedule.BudgetUSD
	}
	if b.Schedule.Resubmit {
		o.Uncertain = scheduler.Resubmit
	}
	return o
}
