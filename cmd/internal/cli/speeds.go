package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/comfyc/comfyc/scheduler"
)

// speeds lets a run begin with what earlier runs learned of the endpoints; what it gives keeps what this one learns. Without a cache folder
// nothing is remembered. Trouble is told, and is no reason not to render.
// The file is one for all batches of the user, by endpoint, and it is replaced whole.
func (e *Env) speeds(opts *scheduler.Options) (learned func()) {
	if e.CacheDir == "" {
		return func() {}
	}
	path := filepath.Join(e.CacheDir, "comfyc", "speeds.json")
	var err error
	if opts.Speeds, err = scheduler.LoadSpeeds(path); err != nil && !os.IsNotExist(err) {
		fmt.Fprintf(e.Stderr, "comfyc: warning: what earlier runs learned of speeds is not used: %v\n", err)
	}
	return func() {
		if err := opts.Speeds.Save(path); err != nil {
			fmt.Fprintf(e.Stderr, "comfyc: warning: what was learned of speeds is not kept: %v\n", err)
		}
	}
}
