package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store"
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
			r := plan.Report(compiler.ReportOptions{Supports: supportsByName(plan), Done: doneIn(cmd.Context(), runDir(args[0], plan), previews(plan))})
			if asJSON {
				fmt.Fprintln(env.Stdout, string(r.ToValue().AppendJSON(nil)))
				return nil
			}
			fmt.Fprint(env.Stdout, r.Text())
			return nil
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "print remarks too, such as what is not sent")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// supportsByName is cannotRun for the endpoints of a plan.
func supportsByName(plan *compiler.Plan) func(endpoint, class string) string {
	checks := map[string]func(string) string{}
	for _, cfg := range plan.Endpoints() {
		checks[cfg.Name] = cannotRun(cfg)
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

// doneIn tells which renders a run directory has done; previews count for previews only. Without a run, and with a state that cannot be read (render says why), it has none.
func doneIn(ctx context.Context, dir string, preview bool) func(compiler.RenderID) bool {
	done := map[compiler.RenderID]bool{}
	if st, err := store.OpenRead(dir); err == nil {
		defer st.Close()
		for r, err := range st.Records(ctx) {
			if err != nil {
				break
			}
			if r.State == scheduler.Done && (preview || !drawn(r)) {
				done[r.ID] = true
			}
		}
	}
	return func(id compiler.RenderID) bool { return done[id] }
}

// drawn tells whether a record's files are a preview's.
func drawn(r scheduler.Record) bool {
	return slices.ContainsFunc(r.Files, func(f scheduler.FileRecord) bool { return f.Preview })
}
