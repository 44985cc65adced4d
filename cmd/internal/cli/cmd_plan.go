package cli

import (
	"bytes"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render/run"
)

func cmdPlan(env *Env) *cobra.Command {
	var f batchFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "plan BATCH",
		Short: "say what a batch would render, how long it would take and what it would cost; spends nothing",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			plan, err := env.compile(cmd.Context(), args[0], &f, false)
			if err != nil {
				return err
			}
			// A state that cannot be read is no reason to say nothing: render says what is wrong with it.
			done, _ := run.DoneIn(cmd.Context(), runDir(args[0], plan), previews(plan))
			cached, err := env.cachedIn(cmd.Context(), plan, &f.cache)
			if err != nil {
				return err
			}
			r := plan.Report(compiler.ReportOptions{Supports: supportsByName(plan), Done: done, Cached: cached})
			forecast, err := env.forecast(plan, r.Renders-r.Reused-r.Cached)
			if err != nil {
				return err
			}
			if asJSON {
				text := bytes.TrimSuffix(r.ToValue().AppendJSON(nil), []byte("}"))
				fmt.Fprintf(env.Stdout, "%s,\"forecast\":%s}\n", text, forecastJSON(forecast))
				return nil
			}
			fmt.Fprint(env.Stdout, r.Text())
			printForecast(env.Stdout, forecast)
			return nil
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "print remarks too, such as what is not sent")
	cmd.Flags().BoolVar(&f.expand, "expand", false, "ask the language model of prompts.expand for what is not stored yet; its answers are kept beside the batch")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// supportsByName is run.CannotRun for the endpoints of a plan.
func supportsByName(plan *compiler.Plan) func(endpoint, class string) string {
	checks := map[string]func(string) string{}
	for _, cfg := range plan.Endpoints() {
		checks[cfg.Name] = run.CannotRun(cfg)
	}
	return func(endpoint, class string) string {
		if check := checks[endpoint]; check != nil {
			return check(class)
		}
		return ""
	}
}

// previews tells whether a plan runs on preview endpoints.
func previews(plan *compiler.Plan) bool {
	ends := plan.Endpoints()
	return len(ends) > 0 && ends[0].Type == "preview"
}
