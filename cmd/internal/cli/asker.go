package cli

import (
	"fmt"
	"path/filepath"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler/chat"
	"github.com/comfyc/comfyc/scheduler/dialect"
)

// saidEvery is after how many expanded prompts a line of progress is printed.
// The questions go to paid or slow language models, one for each prompt that `prompts.expand` names, so a person wants to see
// that it goes on.
const saidEvery = 10

// asker asks language models for a batch, keeps the answers beside it, and says how far it is.
// Only answers that are not stored yet are asked for, so a second run of the same batch asks nothing.
func (e *Env) asker(src *compiler.Source) compiler.Asker {
	// Answers lie beside the batch file, so that they can be committed with it and the plan stays the same on every machine.
	dir := src.Dir
	if dir == "" {
		dir = filepath.Dir(src.File.Name)
	}
	// The asker's own keys go through the same check of variable and host as those of endpoints.
	deps := dialect.Deps{Getenv: e.Getenv, AllowKeys: allowedKeys(src.AllowKeys)}
	return &chat.Asker{Dir: dir, Deps: deps, Progress: func(done, all int) {
		if done == all || done%saidEvery == 0 {
			fmt.Fprintf(e.Stderr, "comfyc: expanded %d of %s\n", done, count(all, "prompt"))
		}
	}}
}
