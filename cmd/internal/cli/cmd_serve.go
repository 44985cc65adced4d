package cli

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/cmd/internal/service"
	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// serveFlags are the flags of `comfyc serve`.
// What is not a flag stands in --config (pools, limits) or in the environment (secrets).
type serveFlags struct {
	addr, data, endpoints, config, nodes string   // --nodes also becomes what the native face answers to /object_info
	native                               []string // POOL=ADDR, one listener each
	logText                              bool
}

// postgresVariable holds the address of the ledger that replicas share. It holds a password, so there is no flag for it.
// Flags stand in the list of processes, where every user of the machine can read them.
const postgresVariable = "COMFYC_POSTGRES"

// cmdServe ends with 0 after SIGTERM or Ctrl-C: for a server that is the normal end. 1 is a configuration that does not hold,
// or an address that is taken.
func cmdServe(env *Env) *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "an HTTP service in front of all endpoints: batches, a page, and the faces of RunPod, Novita and ComfyUI",
		Long: `Serves until it is stopped; SIGTERM and Ctrl-C drain: requests under way are answered, remote jobs are left to finish, and the next start goes on.

  /                 a page with live batches
  /api/v1/…         batches, checks, plans: see /openapi.json
  /v2/POOL/…        what clients of RunPod call; /v1/POOL/… what clients of Novita call
  --native POOL=ADDR  the pool as a ComfyUI server on an address of its own

On loopback no keys are needed until there are some (comfyc keys add); any other address needs them. Environment: COMFYC_STATE_KEY seals
secrets that clients send with their jobs; COMFYC_POSTGRES is the address of the database that several replicas share.`,
		Example: "  comfyc serve\n  comfyc serve --addr 0.0.0.0:8188 --data /var/lib/comfyc --config service.yaml",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return env.serve(cmd, &f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.addr, "addr", "127.0.0.1:8188", "the `address` to listen on; port 0 takes a free one, which is printed")
	flags.StringVar(&f.data, "data", "comfyc-data", "the `folder` for works, keys and the log of what happened")
	flags.StringVar(&f.endpoints, "endpoints", "", "the endpoints `file`, instead of comfyc-endpoints.yaml in the user's configuration")
	flags.StringVar(&f.config, "config", "", "a YAML or JSON `file` with pools and limits (comfyc schema service)")
	flags.StringVar(&f.nodes, "nodes", "", "an /object_info `file` instead of the built-in catalogue")
	flags.StringArrayVar(&f.native, "native", nil, "serve a pool as a ComfyUI server on `POOL=ADDR`; may be given several times")
	flags.BoolVar(&f.logText, "log-text", false, "write the log as text instead of JSON lines")
	return cmd
}

// serve returns when the drain is over. What is still on endpoints is left there, and the next start goes on with it by the
// stored ids.
func (e *Env) serve(cmd *cobra.Command, f *serveFlags) error {
	o, err := e.serviceOptions(f)
	if err != nil {
		return err
	}
	s, err := service.Open(cmd.Context(), o)
	if err != nil {
		return exitf(exitInput, "%v", err)
	}
	if err := s.Serve(cmd.Context()); err != nil {
		return exitf(exitInput, "%v", err)
	}
	return nil
}

// serviceOptions reads what the flags name.
// Everything is read and checked before a socket is opened, so that a service with a wrong configuration never says that it is
// ready.
func (e *Env) serviceOptions(f *serveFlags) (o service.Options, err error) {
	if o.Config, err = e.serviceConfig(f); err != nil {
		return o, err
	}
	if o.Catalogue, err = e.catalogue(f.nodes); err != nil {
		return o, err
	}
	// The native face gives clients the snapshot's bytes as they are: parsed and written anew, they would lose what we do not
	// model.
	if f.nodes != "" {
		text, err := source.ReadFile(f.nodes)
		if err != nil {
			return o, exitf(exitInput, "%v", err)
		}
		o.ObjectInfo = text.Data
	}
	// Only the user's own file counts here: a service has no batch beside which another could lie.
	o.EndpointsFile = f.endpoints
	if user := filepath.Join(e.ConfigDir, "comfyc", compiler.EndpointsFileName); o.EndpointsFile == "" && e.ConfigDir != "" && exists(user) {
		o.EndpointsFile = user
	}
	if o.EndpointsFile != "" {
		text, err := source.ReadFile(o.EndpointsFile)
		if err != nil {
			return o, e.failed([]diag.Diagnostic{diag.FromError(err, o.EndpointsFile)})
		}
		ends, findings := compiler.LoadEndpoints(text, true, e.lookup) // true: a server's own file may name any pair of key variable and host
		if hasErrors(findings) {
			return o, e.failed(findings)
		}
		o.Endpoints = ends
	}
	// Logs go to stderr, the address goes to stdout once the service can be called: scripts wait for that line.
	handler := slog.Handler(slog.NewJSONHandler(e.Stderr, nil))
	if f.logText {
		handler = slog.NewTextHandler(e.Stderr, nil)
	}
	o.Dir, o.Address, o.Postgres, o.Scripts, o.Getenv, o.Log, o.Now = f.data, f.addr, e.Getenv(postgresVariable), e.scripts(), e.Getenv, slog.New(handler), e.Now
	o.Ready = func(base string) { fmt.Fprintln(e.Stdout, base) }
	return o, nil
}

// serviceConfig reads --config and --native.
// Flags add to the file's list of native addresses and do not replace it. Findings print with their places.
func (e *Env) serviceConfig(f *serveFlags) (c service.Config, err error) {
	if f.config != "" {
		text, err := source.ReadFile(f.config)
		if err != nil {
			return c, e.failed([]diag.Diagnostic{diag.FromError(err, f.config)})
		}
		var findings []diag.Diagnostic
		if c, findings = service.ParseConfig(text); hasErrors(findings) {
			return c, e.failed(findings)
		}
	}
	for _, pair := range f.native {
		pool, addr, ok := strings.Cut(pair, "=")
		if !ok {
			return c, exitf(exitUsage, "--native %s: write POOL=ADDR", pair)
		}
		c.Native = append(c.Native, service.Native{Pool: pool, Address: addr})
	}
	return c, nil
}

// hasErrors tells whether findings stop a command.
// Warnings and remarks stop nothing.
func hasErrors(findings []diag.Diagnostic) bool {
	for _, d := range findings {
		if d.Severity == diag.Error {
			return true
		}
	}
	return false
}
