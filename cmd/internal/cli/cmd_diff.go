package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/view"
)

// cmdDiff compares by meaning: graphs are matched by class, values and neighbours. Its exit codes are those of diff(1), where 2
// is trouble; here the constants are borrowed for their numbers.
func cmdDiff(env *Env) *cobra.Command {
	var nodesFile string
	var templates []string
	var asJSON bool
	var opt view.DiffOptions
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "say how two workflows differ in what they do, whatever their ids",
		Long: `Compares two workflows (API or UI format, or request bodies) by meaning. Nodes are matched by what they do, by what is around them, and
only at last by id; ids and titles alone are no difference. Keys and tokens are left out.

The exit code is that of diff: 0 the same in meaning (and nothing is printed), 1 different, 2 a file cannot be read or wrong usage.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			cat, err := env.catalogue(nodesFile)
			if err != nil {
				return err
			}
			how := compiler.ConvertOptions{Catalogue: cat, Scripts: env.scripts()}
			if how.Templates, err = env.templates(templates); err != nil {
				return err
			}
			var sides [2]*view.View
			for i, name := range args {
				v, findings := viewOf(cmd.Context(), name, how)
				env.print(atLeast(diag.Error, findings)) // warnings would be the same on both sides mostly, and no difference
				if v == nil {
					return silent(exitUsage)
				}
				v.File = name
				sides[i] = v
			}
			changes := view.Diff(sides[0], sides[1], opt)
			if asJSON {
				fmt.Fprintln(env.Stdout, string(changes.ToValue().AppendJSON(nil)))
			} else if err := changes.Print(env.Stdout); err != nil {
				return err
			}
			// Different is 1, which the constant for wrong input happens to be.
			if !changes.Equal() {
				return silent(exitInput)
			}
			return nil
		},
	}
	addTemplates(cmd, &templates)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.Flags().BoolVar(&opt.Strict, "strict", false, "ids and titles are differences too")
	cmd.Flags().StringVar(&nodesFile, "nodes", "", "an /object_info `file` instead of the built-in catalogue")
	return cmd
}
