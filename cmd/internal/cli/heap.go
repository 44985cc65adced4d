package cli

import (
	"os"
	"path/filepath"
	"runtime/debug"
)

// smallFiles is up to how many bytes of files a heap of five times what they need is still nothing to speak of: about 200 MB.
const smallFiles = 4 << 20

// collectSeldom is for commands that look at some workflows and end: the heap may grow to five times what is in use, and not to twice. Collecting a heap of
// some megabytes over and over takes a fifth to a third of their time. Large files, what is no workflow, and patterns are left to Go's own
// measure, and so is all if GOGC is set.
func (e *Env) collectSeldom(files ...string) {
	total := int64(0)
	for _, name := range files {
		if name == "" { // a flag that was not given
			continue
		}
		info, err := os.Stat(name)
		if err != nil || filepath.Ext(name) != ".json" {
			return
		}
		total += info.Size()
	}
	if total <= smallFiles && e.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}
