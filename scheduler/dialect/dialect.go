// Package dialect opens configured endpoints: it fills in what the configuration leaves out, finds the key, makes sure that the key
// may go where the endpoint's URL points, and hands over to the package that speaks the endpoint's language.
//
// Nothing here does I/O but for reading a key's file. The endpoints may be used by any number of goroutines, and need no closing.
//
// Example: {name: n1, type: novita} with NOVITA_ENDPOINT_ID=abc and NOVITA_APP_NAME=flux in the environment becomes the endpoint
// https://async.novita.ai/v1/abc-flux with the key from NOVITA_API_KEY, 64 jobs in flight and 4 MiB per job. The same entry with
// url: http://localhost:9999/x gets no key, since that host is not Novita's, unless key_env names one.
package dialect

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect/call"
	"github.com/comfyc/comfyc/scheduler/dialect/comfyui"
	"github.com/comfyc/comfyc/scheduler/dialect/jobs"
	"github.com/comfyc/comfyc/scheduler/dialect/novita"
	"github.com/comfyc/comfyc/scheduler/dialect/runpod"
	"github.com/comfyc/comfyc/scheduler/dialect/serverless"
	"github.com/comfyc/comfyc/scheduler/dialect/worker"
)

// Deps are what an endpoint needs of the outside. The zero value is the process's own environment, files and network; only an
// endpoint of type preview needs Preview.
type Deps struct {
	Getenv   func(string) string          // os.Getenv if nil
	ReadFile func(string) ([]byte, error) // for input and key files, os.ReadFile if nil
	// Transport makes the calls of the API. nil makes one per endpoint that honours the environment's proxies. Outputs on other
	// hosts always go through the guarded dialer.
	Transport http.RoundTripper
	// Preview gives the transport to the in-memory emulator for an endpoint of type preview. It is asked once per Open.
	Preview func(compiler.EndpointConfig) (http.RoundTripper, error)
	// Supports gives Properties.Supports; nil, or an answer of nil, means that it is not known what cannot run.
	Supports func(compiler.EndpointConfig) func(class string) string
	// AllowKeys are pairs of a variable (or the path of a key file) and the hosts that its key may go to, as --allow-key gives them.
	// "*.example.com" means all hosts below.
	AllowKeys map[string][]string
	Timeout   time.Duration // of one call, 30 s if 0
}

// language is one type of endpoints.
// A new platform is one package, one line in languages, and the name in the schema of the configuration. The functions are values, not
// methods, so that the table shows at a glance where two types differ.
type language struct {
	name   string
	limits compiler.Limits
	key    string                                  // the usual variable of the key, "" if none is needed
	home   string                                  // domain that the usual key may always go to
	url    func(getenv func(string) string) string // the default URL, "" if it must be configured
	open   func(opening) scheduler.Endpoint
}

// opening is what the packages of the languages get.
type opening struct {
	client     *call.Client
	properties scheduler.Properties
	options    worker.Options
	bucket     *jobs.Bucket // nil if none is configured
	health     string       // path of a health check, "" if none is configured
}

// languages, one line each.
var languages = []language{
	{"novita", novita.Limits, "NOVITA_API_KEY", "novita.ai", novitaURL, openNovita},
	{"runpod", runpod.Limits, "RUNPOD_API_KEY", "runpod.ai", runpodURL, openRunpod},
	{"comfyui", comfyui.Limits, "", "", comfyuiURL, openComfyUI},
	{"serverless", serverless.Limits, "", "", noURL, openServerless},
	{"preview", previewLimits, "", "", previewURL, openNovita},
}

// previewLimits are wide: a preview shows what a batch would make, not what a platform refuses.
var previewLimits = compiler.Limits{
	// The rates are there only because a limit of 0 would be filled in as "not configured"; no emulator is ever held back by them.
	InFlight:     32,
	SubmitPer10s: 1_000_000,
	StatusPer10s: 1_000_000,
	JobBytes:     64 << 20,
	OutputBytes:  64 << 20,
	Retention:    6 * time.Hour,
}

// openNovita also serves previews: what is seen there went through the same code.
func openNovita(o opening) scheduler.Endpoint { return novita.New(o.client, o.properties, o.options) }

// openRunpod and its like give the packages' own types the contract's.
func openRunpod(o opening) scheduler.Endpoint {
	return runpod.New(o.client, o.properties, o.options, o.bucket)
}

func openComfyUI(o opening) scheduler.Endpoint { return comfyui.New(o.client, o.properties, o.options) }

func openServerless(o opening) scheduler.Endpoint {
	return serverless.New(o.client, o.properties, o.options, o.bucket, o.health)
}

// find gives a type's language; nil if there is none.
func find(name string) *language {
	for i := range languages {
		if languages[i].name == name {
			return &languages[i]
		}
	}
	return nil
}

// Types are the types of endpoints, in the order of the documentation.
func Types() []string {
	names := make([]string, len(languages))
	for i, l := range languages {
		names[i] = l.name
	}
	return names
}

// Open makes an endpoint of its configuration. Errors are *scheduler.Error: Unauthorized for a key that is missing or must not go to
// the endpoint's host, Rejected for a configuration that cannot be meant.
func Open(cfg compiler.EndpointConfig, deps Deps) (scheduler.Endpoint, error) {
	deps = deps.filled()
	cfg, err := WithDefaults(cfg, deps.Getenv)
	if err != nil {
		return nil, err
	}
	// WithDefaults has refused unknown types, so l is not nil from here on.
	l := find(cfg.Type)
	if cfg.Type == "preview" {
		if deps.Transport, err = previewTransport(cfg, deps); err != nil {
			return nil, err
		}
	}
	// The order matters for what a user reads: a wrong type before a missing URL, that before a missing key, that before a bucket.
	key, keyName, err := readKey(cfg, l, deps)
	if err != nil {
		return nil, err
	}
	bucket, err := readBucket(cfg, deps)
	if err != nil {
		return nil, err
	}
	// The bucket's keys travel inside of jobs, so a remote may quote them back in an error: they are redacted like the endpoint's own key.
	client, err := call.New(call.Options{Endpoint: cfg.Name, Base: cfg.URL, Key: key, KeyName: keyName, Secrets: secrets(bucket),
		AllowHosts: cfg.AllowHosts, Transport: deps.Transport, InFlight: cfg.Limits.InFlight, Timeout: deps.Timeout})
	if err != nil {
		return nil, refuse(cfg, "%s", err)
	}
	return l.open(opening{client, properties(cfg, deps), worker.Options{Aliases: cfg.Aliases, OutputNode: cfg.OutputNode, ReadFile: deps.ReadFile},
		bucket, cfg.Health}), nil
}

// filled puts the process's own environment in for what is nil.
func (d Deps) filled() Deps {
	if d.Getenv == nil {
		d.Getenv = os.Getenv
	}
	if d.ReadFile == nil {
		d.ReadFile = os.ReadFile
	}
	return d
}

// previewTransport asks for the way into the emulator, which this package must not know.
func previewTransport(cfg compiler.EndpointConfig, deps Deps) (http.RoundTripper, error) {
	if deps.Preview == nil {
		return nil, refuse(cfg, "there is no emulator for an endpoint of type preview")
	}
	transport, err := deps.Preview(cfg)
	if err != nil {
		return nil, refuse(cfg, "start the emulator: %s", err)
	}
	return transport, nil
}

// properties are what the rest of the program sees of a configuration.
func properties(cfg compiler.EndpointConfig, deps Deps) scheduler.Properties {
	p := scheduler.Properties{Name: cfg.Name, Type: cfg.Type, GPU: cfg.GPU, Worker: cfg.Worker,
		Preview: cfg.Type == "preview", Price: cfg.Price, Limits: cfg.Limits, OneOutput: OneOutput(cfg),
		Workers: cfg.Workers, Terms: cfg.Terms, Execution: cfg.Terms.Execution}
	if deps.Supports != nil {
		p.Supports = deps.Supports(cfg)
	}
	return p
}

// OneOutput tells whether an endpoint gives back the files of one node only. A native server gives those of all whatever image it runs in, so there
// cfg.Worker says nothing.
func OneOutput(cfg compiler.EndpointConfig) bool {
	return cfg.Type != "comfyui" && worker.Find(cfg.Worker).OneOutput
}

// WithDefaults fills in what a configuration leaves out: the URL, the variable of the key, the limits of the type. getenv is asked
// for NOVITA_ENDPOINT_ID, NOVITA_APP_NAME and RUNPOD_ENDPOINT_ID; nil means os.Getenv.
func WithDefaults(cfg compiler.EndpointConfig, getenv func(string) string) (compiler.EndpointConfig, error) {
	l := find(cfg.Type)
	if l == nil {
		return cfg, refuse(cfg, "there is no type %q; it is one of %s", cfg.Type, strings.Join(Types(), ", "))
	}
	if getenv == nil {
		getenv = os.Getenv
	}
	if cfg.URL == "" {
		cfg.URL = l.url(getenv)
	}
	if cfg.URL == "" {
		return cfg, refuse(cfg, "no url is configured%s", urlAdvice(cfg.Type))
	}
	cfg.URL = strings.TrimRight(cfg.URL, "/")
	// The usual variable is taken by itself only for the platform's own hosts: a batch that names another URL does not get the key along.
	if u, err := url.Parse(cfg.URL); err == nil && cfg.KeyEnv == "" && cfg.KeyFile == "" && home(l.key, strings.ToLower(u.Hostname())) {
		cfg.KeyEnv = l.key // elsewhere, such as on an emulator, there is no key unless one is named
	}
	cfg.Limits = fillLimits(cfg.Limits, l.limits)
	return cfg, nil
}

// Limits of a type, for what a configuration leaves out; the zero value for a type that does not exist.
func Limits(name string) compiler.Limits {
	if l := find(name); l != nil {
		return l.limits
	}
	return compiler.Limits{}
}

// fillLimits takes the type's limit for each that is not configured. There is no way to configure "none": platforms have limits.
// A negative one counts as not configured too; the schema refuses it before.
func fillLimits(l, d compiler.Limits) compiler.Limits {
	return compiler.Limits{
		InFlight:     either(l.InFlight, d.InFlight),
		SubmitPer10s: either(l.SubmitPer10s, d.SubmitPer10s),
		StatusPer10s: either(l.StatusPer10s, d.StatusPer10s),
		JobBytes:     either(l.JobBytes, d.JobBytes),
		OutputBytes:  either(l.OutputBytes, d.OutputBytes),
		Retention:    either(l.Retention, d.Retention),
	}
}

// either gives the value if it is set.
func either[T int | int64 | time.Duration](value, def T) T {
	if value <= 0 {
		return def
	}
	return value
}

// refuse says that a configuration cannot be meant.
func refuse(cfg compiler.EndpointConfig, format string, args ...any) *scheduler.Error {
	return &scheduler.Error{Kind: scheduler.Rejected, Endpoint: cfg.Name, Op: "open", Message: fmt.Sprintf(format, args...)}
}
