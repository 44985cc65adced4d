package cli

import (
	"fmt"
	"path/filepath"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler/chat"
	"github.com/comfyc/comfyc/scheduler/dialect"
)

// saidEvery is after how many expanded prompts a line of progress is printed.
const saidEvery = 10

// asker asks language models for a batch, keeps the answers beside it, and says how far it is.
func (e *Env) asker(src *compiler.Source) compiler.Asker {
	dir := src.Dir
	if dir == "" {
		dir = filepath.Dir(src.File.Name)
	}
	deps := dialect.Deps{Getenv: e.Getenv, AllowKeys: allowedKeys(src.AllowKeys)}
	return &chat.Asker{Dir: dir, Deps: deps, Progress: func(done, all int) {
		if done == all || done%saidEvery == 0 {
			fmt.Fprintf(e.Stderr, "comfyc: expanded %d of %s\n", done, count(all, "prompt"))
		}
	}}
}
