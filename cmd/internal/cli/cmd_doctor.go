package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
	"github.com/comfyc/comfyc/render/run"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect"
)

// How long one question to an endpoint may take, and how many endpoints are asked at once.
// Eight are enough to ask a long list in seconds, and few enough not to look like a flood to one platform.
const (
	doctorPatience = 15 * time.Second
	doctorAtOnce   = 8
)

// What is found is compared with these.
const (
	freeEnough = 2 << 30          // bytes on the disk of the run directory
	clockNear  = 30 * time.Second // difference from the endpoint's clock: signed URLs and deadlines depend on it
)

// cmdDoctor makes read-only calls: health, statistics, and one HEAD for the clock. It never submits a job, so it costs nothing.
func cmdDoctor(env *Env) *cobra.Command {
	d := doctor{env: env}
	cmd := &cobra.Command{
		Use:   "doctor [BATCH]",
		Short: "say whether endpoints, keys, clock and disk are in order, and what to do if not; pays nothing",
		Long: `Asks each configured endpoint, with its key, for its health: nothing is submitted, nothing is paid. With a batch, its own endpoints are
asked, and the batch is checked against what they have. Each line is ok, warning or FAIL, with what to do.

Exit code 4 if an endpoint cannot be used, 1 if the batch or a configuration is wrong.`,
		Example: "  comfyc doctor\n  comfyc doctor batch.yaml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return d.run(cmd.Context(), args)
		},
	}
	cmd.Flags().StringVar(&d.flags.endpointsFile, "endpoints", "", "the endpoints `file`, instead of comfyc-endpoints.yaml here or in the user's configuration")
	cmd.Flags().StringArrayVar(&d.flags.endpoints, "endpoint", nil, "look at this endpoint only; may be given several times")
	cmd.Flags().StringArrayVar(&d.flags.allowKeys, "allow-key", nil, "let the key in `VARIABLE=HOST` go to that host")
	cmd.Flags().BoolVar(&d.json, "json", false, "print one JSON object a line")
	return cmd
}

// doctor is one run of the command.
type doctor struct {
	env   *Env       // the process, for output, clock and environment
	flags batchFlags // only endpointsFile, endpoints and allowKeys have flags here
	json  bool
	worst verdict // what was found so far; "" until the first line that is not ok
}

// verdict of one examination.
// The words are what is printed, and the value of "verdict" in JSON.
type verdict string

// The verdicts.
const (
	fine    verdict = "ok"      // nothing to do
	warning verdict = "warning" // batches run, but not as well or as safely as they could
	failed  verdict = "FAIL"    // this endpoint, or this disk, cannot be used: exit code 4
)

// exam is one line of the command.
// In JSON it is one object a line, in the order of the examinations.
type exam struct {
	Verdict verdict `json:"verdict"`
	Subject string  `json:"subject"`          // the endpoint's name, disk, …
	Message string  `json:"message"`          // what was found, for people; its wording may change
	Advice  string  `json:"advice,omitempty"` // what to do, "" if nothing is to be done
}

// run prints the disk first, because it needs no network; then the endpoints in the order of the file, although they are asked
// side by side. Warnings alone end with 0.
func (d *doctor) run(ctx context.Context, args []string) error {
	configs, dir, err := d.configs(ctx, args)
	if err != nil {
		return err
	}
	d.say(disk(dir))
	if len(configs) == 0 {
		d.say(exam{warning, "endpoints", "none is configured; batches run on the built-in preview endpoint", "comfyc init writes a configuration"})
	}
	for _, exams := range d.all(ctx, configs) {
		for _, x := range exams {
			d.say(x)
		}
	}
	if d.worst == failed {
		return silent(exitNoEndpoint)
	}
	return nil
}

// say is called from one goroutine only. A warning never hides a failure in worst. That stdout is closed is no reason to stop:
// the exit code still counts.
func (d *doctor) say(x exam) {
	if x.Verdict == failed || x.Verdict == warning && d.worst != failed {
		d.worst = x.Verdict
	}
	if d.json {
		_ = json.NewEncoder(d.env.Stdout).Encode(x)
		return
	}
	fmt.Fprintf(d.env.Stdout, "%-8s %s: %s\n", x.Verdict, x.Subject, x.Message)
	if x.Advice != "" {
		fmt.Fprintf(d.env.Stdout, "         → %s\n", x.Advice)
	}
}

// configs gives the endpoints to look at, and the folder whose disk counts.
// With a batch they are its own, resolved as a run would; without one, all of the endpoints file, or those of --endpoint. A
// batch that does not compile ends with 1.
func (d *doctor) configs(ctx context.Context, args []string) ([]compiler.EndpointConfig, string, error) {
	if len(args) > 0 {
		plan, err := d.env.compile(ctx, args[0], &d.flags, false)
		if err != nil {
			return nil, "", err
		}
		if findings := run.Unsupported(plan); len(findings) > 0 {
			return nil, "", d.env.failed(findings)
		}
		return plan.Endpoints(), runDir(args[0], plan), nil
	}
	// Without any file there are no endpoints: only the disk of the working directory is looked at.
	path, fromUser := d.file()
	if path == "" {
		return nil, ".", nil
	}
	file, err := source.ReadFile(path)
	if err != nil {
		return nil, "", d.env.failed([]diag.Diagnostic{diag.FromError(err, path)})
	}
	list, findings := compiler.LoadEndpoints(file, fromUser, d.env.lookup)
	if slices.ContainsFunc(findings, func(f diag.Diagnostic) bool { return f.Severity == diag.Error }) {
		return nil, "", d.env.failed(findings)
	}
	d.env.print(findings)
	chosen := slices.DeleteFunc(list, func(c compiler.EndpointConfig) bool { // no --endpoint means all of them
		return len(d.flags.endpoints) > 0 && !slices.Contains(d.flags.endpoints, c.Name)
	})
	if len(chosen) == 0 {
		return nil, "", exitf(exitUsage, "%s has no endpoint %s", path, strings.Join(d.flags.endpoints, ", "))
	}
	return chosen, ".", nil
}

// file finds the endpoints file as batches find it; "" if there is none.
// A file beside the batch is not the user's own, so its pairs of key variable and host are checked; one that --endpoints names
// is taken as the user's word.
func (d *doctor) file() (path string, fromUser bool) {
	if d.flags.endpointsFile != "" {
		return d.flags.endpointsFile, true
	}
	if exists(compiler.EndpointsFileName) {
		return compiler.EndpointsFileName, false
	}
	if d.env.ConfigDir != "" {
		if path := filepath.Join(d.env.ConfigDir, "comfyc", compiler.EndpointsFileName); exists(path) {
			return path, true
		}
	}
	return "", false
}

// all examines endpoints side by side and gives what was found in their order.
// Each goroutine writes its own element, so no lock is needed; at most eight run at a time. It returns when all have.
func (d *doctor) all(ctx context.Context, configs []compiler.EndpointConfig) [][]exam {
	out := make([][]exam, len(configs))
	slots := make(chan struct{}, doctorAtOnce)
	var wait sync.WaitGroup
	for i, cfg := range configs {
		slots <- struct{}{} // waits here, so that no more than eight goroutines exist
		wait.Go(func() {
			defer func() { <-slots }()
			out[i] = d.endpoint(ctx, cfg)
		})
	}
	wait.Wait()
	return out
}

// endpoint examines one: what is known without asking, then what it says.
// An endpoint that cannot be opened (no key, a key that must not go to its host) is not called at all.
func (d *doctor) endpoint(ctx context.Context, cfg compiler.EndpointConfig) (out []exam) {
	add := func(v verdict, advice, format string, args ...any) {
		out = append(out, exam{v, cfg.Name, fmt.Sprintf(format, args...), advice})
	}
	end, err := dialect.Open(cfg, dialect.Deps{Getenv: d.env.Getenv, AllowKeys: allowedKeys(d.flags.allowKeys), Preview: noPreview})
	if err != nil {
		add(failed, adviceFor(err, cfg), "%v", err)
		return out
	}
	if cfg.Type == "preview" { // in this process: nothing could be out of order
		add(fine, "", "built in; pictures of models are drawn, not rendered")
		return out
	}
	// A job's cost is time × price, so a budget with an unknown price would be kept by luck only; a run refuses that.
	if cfg.Price == nil {
		add(warning, "give it as price: {usd_per_second: …, as_of: …}", "its price is not known, so a budget cannot be kept")
	}
	if cfg.Worker != "" {
		if _, known := nodes.ProfileOf(cfg.Worker); !known {
			add(warning, "list its models with models: FILE, or its nodes with object_info: FILE", "the worker image %s is not known, so models and nodes are not checked", cfg.Worker)
		}
	}
	return append(out, d.ask(ctx, cfg, end)...)
}

// noPreview stands in for the emulator, which is always in order and is asked nothing.
func noPreview(compiler.EndpointConfig) (http.RoundTripper, error) { return http.DefaultTransport, nil }

// ask makes the cheap calls.
// All calls of one endpoint share the 15 seconds. The time that is printed is the wall time of the first one, with DNS and TLS
// in it.
func (d *doctor) ask(ctx context.Context, cfg compiler.EndpointConfig, end scheduler.Endpoint) (out []exam) {
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	add := func(v verdict, advice, format string, args ...any) {
		out = append(out, exam{v, cfg.Name, fmt.Sprintf(format, args...), advice})
	}
	checker, ok := end.(scheduler.Checker) // optional: a type whose platform has no cheap call does not have it
	if !ok {
		add(warning, "", "endpoints of the type %s cannot be asked without submitting a job", cfg.Type)
		return out
	}
	began := d.env.Now()
	if err := checker.Check(ctx); err != nil {
		add(failed, adviceFor(err, cfg), "%v", err)
		return out
	}
	took := d.env.Now().Sub(began)
	add(fine, "", "it answers (%s)", took.Round(time.Millisecond))
	if stater, ok := end.(scheduler.Stater); ok {
		out = append(out, workers(ctx, cfg.Name, stater)...)
	}
	return append(out, d.clock(ctx, cfg)...)
}

// workers says what the endpoint tells of its workers and its queue.
// Nil if it cannot or does not want to tell: it has answered Check already, so that is no finding. A negative number of workers
// is "not known".
func workers(ctx context.Context, name string, end scheduler.Stater) []exam {
	s, err := end.Stats(ctx)
	switch {
	case err != nil || s.Workers < 0:
		return nil
	case s.Workers == 0:
		return []exam{{warning, name, "no worker is running", "the first job waits for a cold start; if that is not meant, look at the endpoint's minimum of workers"}}
	}
	return []exam{{fine, name, fmt.Sprintf("%s, %s in its queue", count(s.Workers, "worker"), count(max(0, s.Queued), "job")), ""}}
}

// clock compares this machine's clock with the endpoint's. The call carries no key.
// Any failure gives nil. The Date header has whole seconds and is as old as the answer's way here, both far below the 30 s that
// count.
func (d *doctor) clock(ctx context.Context, cfg compiler.EndpointConfig) []exam {
	cfg, err := dialect.WithDefaults(cfg, d.env.Getenv)
	if err != nil {
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, cfg.URL, nil)
	if err != nil {
		return nil
	}
	// A redirect is an answer too, and has a date; following it would ask another machine for the time.
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(req)
	if err != nil {
		return nil // it has answered before; the clock is not worth another finding
	}
	answer.Body.Close()
	theirs, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		return nil
	}
	if skew := d.env.Now().Sub(theirs).Round(time.Second); skew.Abs() > clockNear {
		return []exam{{warning, cfg.Name, fmt.Sprintf("the clocks differ by %s", skew.Abs()), "set this machine's clock: signed URLs and deadlines depend on it"}}
	}
	return nil
}

// adviceFor says what to do about trouble with an endpoint.
// The advice follows the kind of the error and not its text. "" for errors that are not a remote's, whose own text says what to
// do.
func adviceFor(err error, cfg compiler.EndpointConfig) string {
	var e *scheduler.Error
	if !errors.As(err, &e) {
		return ""
	}
	switch e.Kind {
	case scheduler.Unauthorized:
		if cfg.KeyEnv != "" {
			return "is the key in " + cfg.KeyEnv + " complete, of the same team as the endpoint, and not revoked?"
		}
		return "is the key complete, of the same team as the endpoint, and not revoked?"
	case scheduler.Rejected:
		return "is the endpoint's id in url right, and the endpoint running?"
	case scheduler.Unreachable:
		return "is the host in url right, the server started, and the network there?"
	case scheduler.Busy:
		return "it is busy; ask again later"
	}
	return "ask again later; if it stays so, look at the platform's status page"
}

// disk says whether there is room where the pictures go. The folder may not be there yet.
// It goes up to the nearest folder that exists, makes a file there and removes it: permission bits alone do not tell whether
// one may write (read-only mounts, quotas).
func disk(dir string) exam {
	for !exists(dir) && filepath.Dir(dir) != dir {
		dir = filepath.Dir(dir)
	}
	probe, err := os.CreateTemp(dir, ".comfyc-*")
	if err != nil {
		return exam{failed, "disk", fmt.Sprintf("%s cannot be written to: %v", dir, err), "choose another output.dir"}
	}
	probe.Close()
	_ = os.Remove(probe.Name())
	free, err := freeBytes(dir) // for this user: what is reserved for root does not count
	switch {
	case err != nil:
		return exam{warning, "disk", fmt.Sprintf("how much room %s has cannot be said: %v", dir, err), ""}
	case free < freeEnough:
		return exam{warning, "disk", fmt.Sprintf("%s has %.1f GB left", dir, float64(free)/1e9), "a picture of 1024 × 1024 needs about 1.5 MB"}
	}
	return exam{fine, "disk", fmt.Sprintf("%s has %.1f GB left", dir, float64(free)/1e9), ""}
}
