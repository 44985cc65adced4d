package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/compiler/diag"
)

// cmdExplain prints from the same table that the findings' codes come from, so a code without a text cannot exist. An unknown
// one is exit code 2.
func cmdExplain(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "explain [CODE]",
		Short: "say what a finding's code means, with a bad and a good example; without CODE, list them",
		Args:  cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return diag.Codes(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				listCodes(env.Stdout)
				return nil
			}
			e, ok := diag.Explain(strings.Trim(args[0], "[]")) // as it is copied from a finding: "[value_not_in_list]"
			if !ok {
				hint := diag.Suggest(args[0], diag.Codes())
				return exitf(exitUsage, "there is no code %q; %s", args[0], orElse(hint, "`comfyc explain` lists them"))
			}
			explain(env.Stdout, e)
			return nil
		},
	}
}

// listCodes prints one code a line in the table's order, with the titles in one column.
func listCodes(w io.Writer) {
	for _, code := range diag.Codes() {
		e, _ := diag.Explain(code)
		fmt.Fprintf(w, "%-32s %s\n", code, e.Title)
	}
}

// explain prints title, text, and the examples indented by four spaces, so that they can be told from the words around them.
func explain(w io.Writer, e diag.Explanation) {
	fmt.Fprintf(w, "%s: %s\n\n%s\n", e.Code, e.Title, e.Text)
	for _, part := range []struct{ name, text string }{{"Bad", e.Bad}, {"Good", e.Good}} {
		if part.text != "" {
			fmt.Fprintf(w, "\n%s:\n    %s\n", part.name, strings.ReplaceAll(strings.TrimRight(part.text, "\n"), "\n", "\n    "))
		}
	}
}

// orElse gives the first of two texts that is not empty. Flags before environment before configuration is written as a chain of
// these.
func orElse(s, other string) string {
	if s != "" {
		return s
	}
	return other
}
