package cli

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// cmdCheck ends with 1 if any file has an error, after all of them were looked at; warnings alone give 0. A wrong pattern or
// flag gives 2.
func cmdCheck(env *Env) *cobra.Command {
	var f batchFlags
	var targets, templates []string
	var asJSON, verbose bool
	cmd := &cobra.Command{
		Use:   "check FILE…",
		Short: "find mistakes in workflows and batches before anything is paid; nothing is submitted",
		Long: `Finds mistakes in workflows (API or UI format, or a request body that holds one) and in batches. The verdict on a workflow is that of
ComfyUI's own validation, with its names of errors. FILE may be a pattern such as 'workflows/*.json', or a script of node templates.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			env.collectSeldom(append([]string{f.nodes}, args...)...)
			opt, err := env.checkOptions(&f, targets)
			if err != nil {
				return err
			}
			if opt.Templates, err = env.templates(templates); err != nil {
				return err
			}
			files, err := globs(args)
			if err != nil {
				return err
			}
			failed := false
			for _, name := range files {
				r := checkFile(cmd, name, opt)
				failed = failed || !r.Valid
				// `--json`: one object a line and file, in the order of the arguments: "file", "valid", "good_outputs",
				// "diagnostics". All severities are in it.
				if asJSON {
					fmt.Fprintln(env.Stdout, string(r.ToValue().AppendJSON(nil)))
					continue
				}
				// For people, errors and warnings go to stderr; only the verdict of a valid file is a result and goes to
				// stdout.
				env.print(atLeast(map[bool]diag.Severity{true: diag.Info, false: diag.Warning}[verbose], r.Findings))
				if r.Valid {
					fmt.Fprintf(env.Stdout, "%s: valid\n", name)
				}
			}
			if failed {
				return silent(exitInput)
			}
			return nil
		},
	}
	f.register(cmd)
	addTemplates(cmd, &templates)
	cmd.Flags().StringSliceVar(&targets, "targets", nil, "look at these output nodes only, as partial_execution_targets does (`ids`)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line for each file")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "print remarks too")
	return cmd
}

// checkOptions reads the catalogue once for all files. The batch's source is taken from the flags; its file is put in by the
// check.
func (e *Env) checkOptions(f *batchFlags, targets []string) (compiler.CheckOptions, error) {
	cat, err := e.catalogue(f.nodes)
	if err != nil {
		return compiler.CheckOptions{}, err
	}
	return compiler.CheckOptions{Catalogue: cat, Targets: targets, Batch: e.source(f)}, nil
}

// checkFile turns a file that cannot be read into a report with one finding, so that `--json` has a line for every argument.
func checkFile(cmd *cobra.Command, name string, opt compiler.CheckOptions) compiler.Report {
	file, err := source.ReadFile(name)
	if err != nil {
		return compiler.Report{File: name, Findings: []diag.Diagnostic{diag.FromError(err, name)}}
	}
	return compiler.Check(cmd.Context(), file, opt)
}

// globs expands patterns. A name that is no pattern, or that exists as it is, stands for itself.
// Shells expand patterns themselves, but Windows' does not, and a pattern in quotes never is. One that fits nothing is exit
// code 1; matches come sorted.
func globs(args []string) ([]string, error) {
	var out []string
	for _, arg := range args {
		if !strings.ContainsAny(arg, "*?[") || exists(arg) {
			out = append(out, arg)
			continue
		}
		found, err := filepath.Glob(arg)
		if err != nil {
			return nil, exitf(exitUsage, "%q is not a pattern of file names: %v", arg, err)
		}
		if len(found) == 0 {
			return nil, exitf(exitInput, "no file fits %s", arg)
		}
		out = append(out, found...)
	}
	return out, nil
}
