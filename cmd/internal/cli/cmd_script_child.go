package cli

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/nodes/script"
)

// scriptChild is the hidden command by which the program starts itself to run templates.
// Templates come from other people's repositories: a process of its own can be killed for time or memory, and has nothing of
// ours in its memory.
const scriptChild = "script-child"

// cmdScriptChild speaks the protocol of nodes/script on stdin and stdout and ends when stdin is closed. Nobody calls it by
// hand, so --help does not list it.
func cmdScriptChild(*Env) *cobra.Command {
	return &cobra.Command{
		Use:    scriptChild,
		Short:  "run node templates for the process that started this one",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return script.Serve(cmd.Context(), os.Stdin, os.Stdout) // the real streams: this is a child of its own, and no test's
		},
	}
}

// scripts says how templates are run: by this program, in a process of its own.
// Tests run the same code, with the test binary as the command.
func (e *Env) scripts() script.Options {
	self, err := os.Executable()
	if err != nil {
		return script.Options{} // loading templates says that there is no command
	}
	return script.Options{Command: []string{self, scriptChild}}
}
