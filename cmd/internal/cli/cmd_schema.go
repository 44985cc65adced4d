package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/schemas"
)

// cmdSchema prints what is built into the program, byte for byte, so that an editor checks with the same schema as the
// compiler. An unknown name is exit code 2.
func cmdSchema(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:       "schema NAME",
		Short:     "print the JSON Schema of a file format: " + strings.Join(schemas.Names(), ", "),
		Example:   "  comfyc schema batch > batch.schema.json",
		Args:      cobra.ExactArgs(1),
		ValidArgs: schemas.Names(),
		RunE: func(_ *cobra.Command, args []string) error {
			text, ok := schemas.Text(args[0])
			if !ok {
				return exitf(exitUsage, "there is no schema %q; %s", args[0],
					orElse(diag.Suggest(args[0], schemas.Names()), "there are "+strings.Join(schemas.Names(), ", ")))
			}
			fmt.Fprint(env.Stdout, text)
			return nil
		},
	}
}
