package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker for releases.
// `go build` leaves it empty; cmd/release sets it with -X, so the path of this variable must not change.
var version = ""

// cmdVersion prints one line, for example: comfyc v1.2.0 1a2b3c4d5e6f go1.26.8 linux/amd64.
func cmdVersion(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "print the version, the commit and the Go release",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprintln(env.Stdout, versionLine())
			return nil
		},
	}
}

// versionLine falls back to what the Go tool wrote into the binary: the module's version for `go install …@v1.2.0`, the commit
// for a build in a checkout. A build with -trimpath -buildvcs=false, as releases are, has no commit.
func versionLine() string {
	v, commit := version, ""
	if info, ok := debug.ReadBuildInfo(); ok {
		if v == "" {
			v = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				commit = " " + s.Value[:min(12, len(s.Value))]
			}
		}
	}
	if v == "" {
		v = "(devel)"
	}
	return fmt.Sprintf("comfyc %s%s %s %s/%s", v, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
