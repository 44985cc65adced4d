package dialect

import (
	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler/dialect/call"
)

// Client makes a bare client for an endpoint that runs no renders, such as a language model's: its calls are the caller's own, and the
// rules for keys, redirects and errors are those of all endpoints. Errors are those of Open.
func Client(cfg compiler.EndpointConfig, deps Deps) (*call.Client, error) {
	deps = deps.filled()
	cfg, err := WithDefaults(cfg, deps.Getenv)
	if err != nil {
		return nil, err
	}
	key, keyName, err := readKey(cfg, find(cfg.Type), deps)
	if err != nil {
		return nil, err
	}
	// No AllowHosts: such a client fetches no outputs from elsewhere. It never sends a bucket's keys, so there are no Secrets either.
	client, err := call.New(call.Options{Endpoint: cfg.Name, Base: cfg.URL, Key: key, KeyName: keyName, Transport: deps.Transport, Timeout: deps.Timeout})
	if err != nil {
		return nil, refuse(cfg, "%s", err)
	}
	return client, nil
}
