// Command comfyc compiles ComfyUI workflows, sweeps them, renders them on GPU endpoints and shows the pictures.
package main

import (
	"os"

	"github.com/comfyc/comfyc/cmd/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], cli.System())) }
