package cli

import (
	"bytes"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes/script"
)

// nodesTypes starts the scripts' process only if templates are given, since declaring built-in classes runs nothing.
func nodesTypes(env *Env, file *string) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "types [TEMPLATE…]",
		Short: "write TypeScript declarations of the classes, and of your own templates, for editors",
		Long: `Writes a TypeScript declaration file of all node classes and of the templates in the given files. An editor that finds it beside a
template (.js with // @ts-check, or .ts) completes names and finds mistakes while you write.`,
		Example: "  comfyc nodes types -o comfyc.d.ts templates/*.js",
		RunE: func(cmd *cobra.Command, args []string) error {
			cat, err := env.catalogue(*file)
			if err != nil {
				return err
			}
			var files []*source.File
			for _, name := range args {
				f, err := source.ReadFile(name)
				if err != nil {
					return env.failed([]diag.Diagnostic{diag.FromError(err, name)})
				}
				files = append(files, f)
			}
			var set *script.Set // nil without templates: then only classes are declared
			if len(files) > 0 {
				var findings []diag.Diagnostic
				if set, findings = script.Load(cmd.Context(), files, cat, env.scripts()); set == nil {
					return env.failed(findings)
				}
				defer set.Close() // ends the child process
			}
			var b bytes.Buffer
			if err := script.Types(&b, cat, set); err != nil {
				return err
			}
			if out == "-" {
				_, err := env.Stdout.Write(b.Bytes())
				return err
			}
			if err := writeFile(out, b.Bytes()); err != nil {
				return exitf(exitInput, "%v", err)
			}
			fmt.Fprintln(env.Stdout, out)
			return nil
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "comfyc.d.ts", "the `file` to write, - for standard output")
	return cmd
}
