package cli

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect"
	"github.com/comfyc/comfyc/scheduler/store"
)

// cancelBlind cancels the jobs of a batch whose file is broken or gone, so that nobody has to mend it before the money stops: the state knows the
// endpoints' names and the jobs' ids, and the endpoints file the rest. The state stays as it is, since what had finished remotely can still be
// collected once the batch compiles again; a run asks for each job then, and learns that it was cancelled.
// wait bounds all calls together. It always returns an error: exit code 3 with what to do next, or 1 if the state or the
// endpoints file cannot be read.
func (e *Env) cancelBlind(ctx context.Context, dir, file string, f *batchFlags, wait time.Duration) error {
	ctx, stop := context.WithTimeout(ctx, wait)
	defer stop()
	jobs, err := jobsOn(ctx, dir)
	if err != nil {
		return exitf(exitInput, "%v", err)
	}
	ends, err := e.openNamed(ctx, file, f, slices.Sorted(maps.Keys(jobs)))
	if err != nil {
		return err
	}
	asked, all := 0, 0
	// Endpoints are asked one after the other, in the order of their names, so that the output is the same each time. A call
	// that fails is a warning, and the next job is still cancelled.
	for _, name := range slices.Sorted(maps.Keys(jobs)) {
		for _, remote := range jobs[name] {
			all++
			if err := ends[name].Cancel(ctx, remote); err != nil {
				fmt.Fprintf(e.Stderr, "comfyc: warning: cancel %s at %s: %v\n", remote, name, err)
				continue
			}
			asked++
		}
	}
	return exitf(exitIncomplete, "The batch does not compile, so its jobs were only cancelled at their endpoints: %d of %d.\nPut it right and run `comfyc cancel %s` again, or `comfyc resume %s`, to have that noted, and what had finished collected.", asked, all, dir, dir)
}

// jobsOn gives the ids of the jobs of a run directory that may be on remotes, by endpoint.
// Attempts whose answer was lost have no remote id, and those of the preview endpoint ended with their process: neither can be
// cancelled.
func jobsOn(ctx context.Context, dir string) (map[string][]string, error) {
	st, err := store.OpenRead(dir)
	if err != nil {
		return nil, err
	}
	defer st.Close()
	jobs := map[string][]string{}
	for a, err := range st.Attempts(ctx) {
		if err != nil {
			return nil, err
		}
		if !a.State.Final() && a.Remote != "" && !a.Preview { // not collected, failed, cancelled or expired
			jobs[a.Endpoint] = append(jobs[a.Endpoint], a.Remote)
		}
	}
	return jobs, nil
}

// openNamed opens endpoints by their names, as a batch in the place of file would have them: which keys may go where is checked in the same way.
// It compiles a stand-in batch in the folder of the broken one, because the compiler is what knows where endpoints files are
// looked for and which keys a batch beside a cloned file may use.
func (e *Env) openNamed(ctx context.Context, file string, f *batchFlags, names []string) (map[string]scheduler.Endpoint, error) {
	ends := map[string]scheduler.Endpoint{}
	if len(names) == 0 {
		return ends, nil
	}
	src := e.source(f)
	src.Endpoints, src.MaxUSD = nil, 0 // the stand-in says the names; no money is spent, so there is no cap
	src.File = source.NewFile(filepath.Join(filepath.Dir(file), "batch.yaml"), fmt.Appendf(nil, standIn, strings.Join(quoted(names), ", ")))
	plan, findings := compiler.Compile(ctx, src)
	if plan == nil {
		return nil, e.failed(findings)
	}
	for _, cfg := range plan.Endpoints() {
		end, err := dialect.Open(cfg, dialect.Deps{Getenv: e.Getenv, AllowKeys: allowedKeys(f.allowKeys)})
		if err != nil {
			return nil, exitf(exitInput, "%v", err)
		}
		ends[cfg.Name] = end
	}
	return ends, nil
}

// standIn is a batch that is never run: its endpoints are what is wanted of it.
// The workflow is the smallest that passes the checks: one picture of one colour, saved. "%s" takes a list of quoted names.
const standIn = `version: 1
workflow: {"1": {class_type: EmptyImage, inputs: {width: 64, height: 64, batch_size: 1, color: 0}}, "2": {class_type: SaveImage, inputs: {images: ["1", 0], filename_prefix: x}}}
endpoints: [%s]
`

// quoted puts names in double quotes, in which YAML reads any text as a string.
func quoted(names []string) (out []string) {
	for _, name := range names {
		out = append(out, fmt.Sprintf("%q", name))
	}
	return out
}
