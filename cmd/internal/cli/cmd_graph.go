package cli

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/graph"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/compiler/view"
)

// cmdGraph draws what can be read, whatever is wrong with it: the nodes that have findings are marked. Exit code 1 only if
// there is no workflow at all.
func cmdGraph(env *Env) *cobra.Command {
	var nodesFile, format, out string
	var templates []string
	cmd := &cobra.Command{
		Use:   "graph FILE",
		Short: "draw a workflow as DOT, Mermaid, SVG or JSON",
		Long: `Draws a workflow (API or UI format, or a request body that holds one). A workflow with mistakes is drawn too, with the nodes marked that have
them; ` + "`comfyc check`" + ` says more about those. Keys and tokens are left out. Formats:
` + formatsHelp(),
		Example: "  comfyc graph --format svg -o flow.svg flow.json\n  comfyc graph flow.json | dot -Tpng -o flow.png",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			write := formatNamed(format) // before anything is read: a wrong format is wrong usage (2)
			if write == nil {
				names := formatNames()
				hint := diag.Suggest(format, names)
				return exitf(exitUsage, "%q is no format: it is one of %s; %s", format, strings.Join(names, ", "), hint)
			}
			cat, err := env.catalogue(nodesFile)
			if err != nil {
				return err
			}
			opt := compiler.ConvertOptions{Catalogue: cat, Scripts: env.scripts()}
			if opt.Templates, err = env.templates(templates); err != nil {
				return err
			}
			v, findings := viewOf(cmd.Context(), args[0], opt)
			if v == nil {
				return env.failed(findings)
			}
			env.print(atLeast(diag.Warning, findings))
			if out == "" || out == "-" {
				_, err = env.Stdout.Write(write(v))
				return err
			}
			if err := writeFile(out, write(v)); err != nil {
				return exitf(exitInput, "%v", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&format, "format", view.Formats[0].Name, "how to write it: "+strings.Join(formatNames(), ", "))
	cmd.Flags().StringVar(&nodesFile, "nodes", "", "an /object_info `file` instead of the built-in catalogue")
	addTemplates(cmd, &templates)
	cmd.Flags().StringVarP(&out, "output", "o", "", "the `file` to write; - or nothing is standard output")
	return cmd
}

// formatNames keeps the order of the table, whose first entry is the default of --format.
func formatNames() (names []string) {
	for _, f := range view.Formats {
		names = append(names, f.Name)
	}
	return names
}

// formatsHelp pads the names to nine columns. A name of more than nine letters would make Repeat panic at every start.
func formatsHelp() string {
	var b strings.Builder
	for _, f := range view.Formats {
		b.WriteString("  " + f.Name + strings.Repeat(" ", 9-len(f.Name)) + f.What + "\n")
	}
	return b.String()
}

// formatNamed gives what writes a format, nil if there is none of that name.
func formatNamed(name string) func(*view.View) []byte {
	for _, f := range view.Formats {
		if f.Name == name {
			return f.Write
		}
	}
	return nil
}

// viewOf reads a workflow and makes it ready to be shown, whatever is wrong with its nodes. The findings are those of reading and converting;
// the view is nil if there is no workflow in the file at all.
// Errors of the graph's check are not among the findings as long as there is something to draw: the drawing marks them.
func viewOf(ctx context.Context, name string, opt compiler.ConvertOptions) (*view.View, []diag.Diagnostic) {
	file, err := source.ReadFile(name)
	if err != nil {
		return nil, []diag.Diagnostic{diag.FromError(err, name)}
	}
	prompt, findings := compiler.Expand(ctx, file, opt)
	if prompt == nil {
		return nil, findings
	}
	g, verdict := graph.Build(prompt, opt.Catalogue, graph.Options{})
	if len(g.Nodes) == 0 { // nothing to draw: then the errors of the check are the explanation
		return nil, append(findings, atLeast(diag.Error, verdict.Findings)...)
	}
	return view.New(g, verdict, filepath.Base(name)), findings
}
