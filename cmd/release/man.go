package main

import (
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra/doc"

	"github.com/comfyc/comfyc/cmd/internal/cli"
)

// manDate stands in the pages, so that the same source gives the same bytes.
var manDate = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// manuals writes the manual pages of all commands to man/ and the completions of the usual shells to completions/.
func manuals(dir, version string) error {
	root := cli.Command(cli.System()) // the tree of commands; none of them is run
	man := filepath.Join(dir, "man")
	if err := os.MkdirAll(man, 0o755); err != nil {
		return err
	}
	if err := doc.GenManTree(root, &doc.GenManHeader{Title: "COMFYC", Section: "1", Source: "comfyc " + version, Manual: "comfyc", Date: &manDate}, man); err != nil {
		return err
	}
	shells := filepath.Join(dir, "completions")
	if err := os.MkdirAll(shells, 0o755); err != nil {
		return err
	}
	// bash and zsh find completions by these names; the others are sourced by the user.
	for name, write := range map[string]func(string) error{
		"comfyc.bash": func(p string) error { return root.GenBashCompletionFileV2(p, true) },
		"_comfyc":     root.GenZshCompletionFile,
		"comfyc.fish": func(p string) error { return root.GenFishCompletionFile(p, true) },
		"comfyc.ps1":  root.GenPowerShellCompletionFileWithDesc,
	} {
		if err := write(filepath.Join(shells, name)); err != nil {
			return err
		}
	}
	return nil
}
