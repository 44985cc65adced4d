package cli

import (
	"fmt"
	"path/filepath"
	"strings"

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
	deps := dialect.Deps{Getenv: e.Getenv, AllowKeys: map[string][]string{}}
	for _, pair := range src.AllowKeys {
		name, host, _ := strings.Cut(pair, "=")
		deps.AllowKeys[name] = append(deps.AllowKeys[name], host)
	}
	return &chat.Asker{Dir: dir, Deps: deps, Progress: func(done, all int) {
		if done == all || done%saidEvery == 0 {
			fmt.Fprintf(e.Stderr, "comfyc: expanded %d of %s\n", done, count(all, "prompt"))
		}
	}}
}
