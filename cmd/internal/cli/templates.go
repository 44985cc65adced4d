package cli

import (
	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// addTemplates is the flag of commands that take a workflow which may use node templates.
// The scripts themselves run in a child process, see scripts.
func addTemplates(cmd *cobra.Command, names *[]string) {
	cmd.Flags().StringArrayVar(names, "templates", nil, "a `file` of node templates that the workflow uses (.js or .ts); may be given several times")
}

// templates reads the files that --templates names.
// Their text is not looked at here: that is done by the command that loads them, with the catalogue.
func (e *Env) templates(names []string) (files []*source.File, err error) {
	for _, name := range names {
		f, err := source.ReadFile(name)
		if err != nil {
			return nil, e.failed([]diag.Diagnostic{diag.FromError(err, name)})
		}
		files = append(files, f)
	}
	return files, nil
}
