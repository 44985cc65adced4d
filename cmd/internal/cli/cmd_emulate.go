package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/scheduler/emulator"
)

// cmdEmulate runs until Ctrl-C, which is a normal end (0). Its address is the one line on stdout, so that scripts can read a
// port chosen by the system.
func cmdEmulate(env *Env) *cobra.Command {
	var address, config string
	var webhooks bool
	cmd := &cobra.Command{
		Use:   "emulate",
		Short: "a server that behaves as the platforms do: Novita, RunPod and native ComfyUI, with cold starts, queues, limits and faults",
		Long: `Serves emulated endpoints until it is stopped. Without --config there is one, named "preview":

  Novita    http://ADDRESS/v1/preview/run …
  RunPod    http://ADDRESS/v2/preview/run …
  ComfyUI   http://ADDRESS/native/preview/prompt …, and at the root

RunPod's webhook, policy (time-outs, low priority) and long polls work as documented; ComfyUI's websocket tells every node. What was submitted and rendered is counted at http://ADDRESS/_emulator/stats.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := env.emulatorConfig(config)
			if err != nil {
				return err
			}
			// Either the flag or the file; off by default, since a job may name any address.
			c.Webhooks = c.Webhooks || webhooks
			err = emulator.Run(cmd.Context(), c, address, func(base string) { fmt.Fprintln(env.Stdout, base) })
			if err != nil && !errors.Is(err, context.Canceled) {
				return exitf(exitInput, "%v", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&address, "listen", "127.0.0.1:8199", "the `address` to listen on; port 0 takes a free one, which is printed")
	cmd.Flags().StringVar(&config, "config", "", "a YAML or JSON `file` with endpoints, workers, cold starts, limits and faults")
	cmd.Flags().BoolVar(&webhooks, "webhooks", false, "POST to the webhooks of jobs and upload to the buckets of their s3Config: calls any address that a job names")
	return cmd
}

// emulatorConfig checks every key of the file; any finding, a warning too, ends with 1: a fault that is misspelt would test
// nothing.
func (e *Env) emulatorConfig(name string) (emulator.Config, error) {
	if name == "" {
		return emulator.Preview(), nil
	}
	f, err := source.ReadFile(name)
	if err != nil {
		return emulator.Config{}, e.failed([]diag.Diagnostic{diag.FromError(err, name)})
	}
	v, err := source.Parse(f, source.Limits{})
	if err != nil {
		return emulator.Config{}, e.failed([]diag.Diagnostic{diag.FromError(err, name)})
	}
	c, findings := emulator.ParseConfig(v)
	if len(findings) > 0 {
		return emulator.Config{}, e.failed(findings)
	}
	return c, nil
}
