// Command release builds the binaries of a release for all platforms and says what is in them: static, reproducible (the same commit
// gives the same bytes), with checksums, a software bill of materials in CycloneDX form, the licences of all dependencies, manual pages
// and shell completions.
//
//	go run ./cmd/release -out dist
//	go run ./cmd/release -out dist -only linux/amd64
//
// It needs Go and git, and no network once the modules are there. Files in the folder are replaced. It ends with status 1 if a binary
// is not what it should be. How a binary is built stands in build.go and nowhere else; the Makefile and the Dockerfile call this command.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
)

// target is a platform that is released for.
type target struct{ os, arch string }

// The order is that of the output.
var targets = []target{
	{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"}, {"windows", "arm64"},
}

// file is the name of the binary, for example comfyc-linux-amd64 and comfyc-windows-arm64.exe.
func (t target) file() string {
	name := "comfyc-" + t.os + "-" + t.arch
	if t.os == "windows" {
		name += ".exe"
	}
	return name
}

func main() {
	out := flag.String("out", "dist", "the `folder` to write to")
	version := flag.String("version", "", "the `version`; git describe if it is not given")
	only := flag.String("only", "", "one `platform`, such as linux/amd64, or native; all six if it is not given")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt) // Ctrl-C ends the `go build` under way
	defer stop()
	list, err := chosen(*only)
	if err == nil {
		err = release(ctx, *out, *version, list)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// chosen gives the platforms to build for: all of them, or the one that is named.
func chosen(name string) ([]target, error) {
	if name == "" {
		return targets, nil
	}
	if name == "native" {
		name = runtime.GOOS + "/" + runtime.GOARCH
	}
	for _, t := range targets {
		if name == t.os+"/"+t.arch {
			return []target{t}, nil
		}
	}
	return nil, fmt.Errorf("no release is made for %s", name)
}

// release builds for the platforms of the list and checks what came out.
// It stops at the first thing that is wrong and leaves what was built, without SHA256SUMS: a folder without that file is no
// release.
func release(ctx context.Context, dir, version string, list []target) error {
	if version == "" {
		version = describe(ctx)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var files, binaries []string
	for _, t := range list {
		path := filepath.Join(dir, t.file()) // nothing is deleted first: files of the same names are replaced
		if err := build(ctx, t, version, path); err != nil {
			return err
		}
		size, err := inspect(path, t)
		if err != nil {
			return err
		}
		fmt.Printf("%-28s %5.1f MB\n", t.file(), float64(size)/1e6)
		files, binaries = append(files, t.file()), append(binaries, path)
	}
	modules, err := modulesOf(binaries)
	if err != nil {
		return err
	}
	// The order of a map does not show: each is a file of its own, and the checksums are sorted.
	for name, write := range map[string]func() ([]byte, error){
		"comfyc.cdx.json": func() ([]byte, error) { return bill(version, modules) },
		"LICENSES.txt":    func() ([]byte, error) { return licences(ctx, modules) },
	} {
		text, err := write()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
		files = append(files, name)
	}
	if err := manuals(dir, version); err != nil {
		return err
	}
	return checksums(dir, files)
}

// describe is the version by git: the tag, or the commit if there is none.
// "-dirty" is added if the checkout has changes, so such a build cannot pass for a release. "devel" outside of a repository.
func describe(ctx context.Context) string {
	text, err := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty").Output()
	if err != nil {
		return "devel"
	}
	return strings.TrimSpace(string(text))
}
