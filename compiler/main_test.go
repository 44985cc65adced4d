package compiler

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/comfyc/comfyc/nodes/script"
)

// TestMain lets the test's own binary be the child process that runs templates.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "script-child" {
		if err := script.Serve(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// inChild runs templates as the command does.
var inChild = script.Options{Command: []string{os.Args[0], "script-child"}}
