package cli

import (
	"bytes"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render/run"
)

// cmdPlan reads: batch, workflow, endpoints, state of earlier runs, cache. It writes nothing, calls no endpoint and needs no
// key. Exit code 1 if the batch has errors.
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
			// The report is the compiler's: counts, duplicates, what is already there, what no endpoint can take. The forecast
			// is the scheduler's.
			r := plan.Report(compiler.ReportOptions{Supports: run.Supports(plan), Done: done, Cached: cached})
			forecast, err := env.forecast(plan, done, cached)
			if err != nil {
				return err
			}
			if asJSON {
				// The forecast becomes one more member of the report's object, so that `--json` stays one object; the two
				// packages do not know each other.
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

// previews tells whether a plan runs on preview endpoints.
// A batch runs either on preview endpoints or on real ones, never on both, so the first tells.
func previews(plan *compiler.Plan) bool {
	ends := plan.Endpoints()
	return len(ends) > 0 && ends[0].Type == "preview"
}
