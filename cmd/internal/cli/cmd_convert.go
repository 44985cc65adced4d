package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// cmdConvert ends with 1 if any file was refused; the others are written all the same. An unknown class is a warning and is let
// through.
func cmdConvert(env *Env) *cobra.Command {
	var nodesFile, out string
	var templates []string
	cmd := &cobra.Command{
		Use:   "convert FILE…",
		Short: "UI format to API format, as the frontend's Export (API) does it",
		Long: `Converts workflows saved by the UI to the form that the API takes; API format passes through. Without -o the result goes to stdout. With
several files, -o names a folder, which gets NAME.json for each; a file that is refused gets none, and the others are still written. Nodes that use
node templates are replaced by what the templates make; FILE may be a script that is a whole workflow.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			env.collectSeldom(append([]string{nodesFile}, args...)...)
			cat, err := env.catalogue(nodesFile)
			if err != nil {
				return err
			}
			files, err := globs(args)
			if err != nil {
				return err
			}
			if out == "-" {
				out = "" // standard output, as elsewhere
			}
			// Decided before the first file is read: nothing is written if the flags cannot mean what they say.
			folder, err := outFolder(out, len(files))
			if err != nil {
				return err
			}
			if folder {
				if err := apart(files, out); err != nil {
					return err
				}
			}
			opt := compiler.ConvertOptions{Catalogue: cat, Scripts: env.scripts()}
			if opt.Templates, err = env.templates(templates); err != nil {
				return err
			}
			refused := false
			for _, name := range files {
				file, err := source.ReadFile(name)
				if err != nil {
					env.print([]diag.Diagnostic{diag.FromError(err, name)})
					refused = true
					continue
				}
				// nil is a refusal: the file cannot be read, or holds what the frontend itself refuses to export. The findings
				// say which.
				prompt, findings := compiler.Expand(cmd.Context(), file, opt)
				env.print(atLeast(diag.Warning, findings))
				if prompt == nil {
					refused = true
					continue
				}
				if err := env.writeConverted(prompt, name, out, folder); err != nil {
					return err
				}
			}
			if refused {
				return silent(exitInput)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&nodesFile, "nodes", "", "an /object_info `file` instead of the built-in catalogue")
	addTemplates(cmd, &templates)
	cmd.Flags().StringVarP(&out, "output", "o", "", "the `file` or folder to write; - or nothing is standard output")
	return cmd
}

// apart holds that no two files would be written under one name, before any is.
func apart(files []string, out string) error {
	taken := map[string]string{}
	for _, name := range files {
		to := convertedName(out, name)
		key := strings.ToLower(to) // as file systems that do not tell capital letters apart see it
		if other, ok := taken[key]; ok {
			return exitf(exitUsage, "%s and %s would both be written to %s: convert them into folders of their own", other, name, to)
		}
		taken[key] = name
	}
	return nil
}

// convertedName is where a file's workflow is written in a folder: `a/flow.png` becomes `flow.json`.
func convertedName(folder, name string) string {
	base := filepath.Base(name)
	return filepath.Join(folder, strings.TrimSuffix(base, filepath.Ext(base))+".json")
}

// outFolder tells whether -o names a folder, and makes it.
// A folder is meant if there are several files, if -o ends in a slash, or if it is one already. Without -o, several files are
// exit code 2.
func outFolder(out string, files int) (bool, error) {
	if out == "" {
		if files > 1 {
			return false, exitf(exitUsage, "%d files are converted: name a folder for them with -o", files)
		}
		return false, nil
	}
	info, err := os.Stat(out)
	folder := files > 1 || strings.HasSuffix(out, "/") || err == nil && info.IsDir() // an error of Stat means that nothing is there yet: a file, then
	if !folder {
		return false, nil
	}
	if err := os.MkdirAll(out, 0o777); err != nil {
		return false, exitf(exitInput, "%v", err)
	}
	return true, nil
}

// writeConverted indents the JSON for reading. The path is printed on stdout.
func (e *Env) writeConverted(prompt *source.Value, name, out string, folder bool) error {
	if out == "" {
		_, err := e.Stdout.Write(prompt.Indent())
		return err
	}
	if folder {
		out = convertedName(out, name)
	}
	if err := writeFile(out, prompt.Indent()); err != nil {
		return exitf(exitInput, "%v", err)
	}
	fmt.Fprintln(e.Stdout, out)
	return nil
}
