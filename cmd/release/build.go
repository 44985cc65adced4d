package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// cold are the packages that are compiled without inlining, which makes the binary 2.1 MB smaller. None of them is on the way of a render, of a check or of
// a database row: they talk to people, to Postgres' and S3's servers and to browsers, whose answers take a thousand times longer, or do their work once at the start.
// What computes keeps its inlining: the compiler, the interpreter of templates, the scheduler, SQLite, the pictures, JSON, fasthttp.
var cold = []string{
	"github.com/evanw/esbuild/...",                                                // takes the types out of a template, once
	"github.com/riverqueue/...", "github.com/jackc/...", "github.com/tidwall/...", // Postgres and the queue in it
	"github.com/minio/...", "go.yaml.in/yaml/v3/...", "github.com/tinylib/...", "github.com/klauspost/compress/s2", // S3
	"net/http", "crypto/tls", "crypto/x509/...", "mime/...", "encoding/xml", "encoding/gob", "database/sql", "golang.org/x/crypto/...", "golang.org/x/net/...", // around the network
	"github.com/spf13/...", "github.com/vbauerster/...", "github.com/mattn/...", "github.com/clipperhouse/...", "html/template", "text/template/...", "golang.org/x/text/...", // for people
	"github.com/molecule-man/...", // Brotli, which is linked by fasthttp and which nothing here uses
	"github.com/comfyc/comfyc/cmd/...",
}

// flags are all that `go build` is told, the same for each platform. No path, time or machine goes into a binary.
// -trimpath takes out the folder, -buildid= the hash of the tools' cache, -buildvcs=false the commit and its time. -s and -w leave out tables for
// debuggers; stacks in logs have their names and lines without them. Functions begin at multiples of 16 bytes on every processor; Go's own choice on
// amd64 is 32, which makes 0.45 MB more.
func flags(version string) []string {
	out := []string{"-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid= -funcalign=16 -X github.com/comfyc/comfyc/cmd/internal/cli.version=" + version}
	for _, pattern := range cold {
		out = append(out, "-gcflags="+pattern+"=-l")
	}
	return out
}

// build makes one binary. CGO off makes it static; GOFLAGS of the environment is emptied, so that no setting of this machine gets in.
func build(ctx context.Context, t target, version, path string) error {
	args := append([]string{"build", "-o", path}, flags(version)...)
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/comfyc")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+t.os, "GOARCH="+t.arch, "GOFLAGS=")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build for %s/%s: %w", t.os, t.arch, err)
	}
	return nil
}
