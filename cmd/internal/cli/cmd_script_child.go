package cli

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/nodes/script"
)

// scriptChild is the hidden command by which the program starts itself to run templates.
const scriptChild = "script-child"

func cmdScriptChild(*Env) *cobra.Command {
	return &cobra.Command{
		Use:    scriptChild,
		Short:  "run node templates for the process that started this one",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return script.Serve(cmd.Context(), os.Stdin, os.Stdout)
		},
	}
}

// scripts says how templates are run: by this program, in a process of its own.
func (e *Env) scripts() script.Options {
	self, err := os.Executable()
	if err != nil {
		return script.Options{} // loading templates says that there is no command
	}
	return script.Options{Command: []string{self, scriptChild}}
}
