// Command comfyc compiles ComfyUI workflows, sweeps them, renders them on GPU endpoints and shows the pictures.
package main

import (
	"os"

	"github.com/comfyc/comfyc/cmd/internal/cli"
)

// Exit codes are those of package cli; os.Exit is called here and nowhere else, but for a second Ctrl-C.
func main() { os.Exit(cli.Main(os.Args[1:], cli.System())) }
