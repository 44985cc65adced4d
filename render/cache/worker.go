package cache

import (
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler"
)

// Worker says who makes renders on an endpoint, as far as it decides what may stand in for what: the worker image, wherever it runs, if its
// name says which build it is; else this endpoint alone. ok is false for previews, which are never kept: they cost nothing, and must not be
// taken for the real thing.
func Worker(e compiler.EndpointConfig) (worker string, ok bool) {
	switch {
	case e.Type == "preview":
		return "", false
	case pinned(e.Worker):
		return "image " + e.Worker, true
	case e.URL != "":
		return "endpoint " + e.URL, true
	}
	return "endpoint " + e.Type + " " + e.Name, true
}

// pinned tells whether an image's name says which build it is: it has a digest, or a tag that does not move by custom.
func pinned(image string) bool {
	if strings.Contains(image, "@sha256:") {
		return true
	}
	_, tag, ok := strings.Cut(image[strings.LastIndexByte(image, '/')+1:], ":")
	return ok && !slices.Contains([]string{"", "latest", "main", "master", "dev", "nightly", "edge", "stable"}, tag)
}

// Models lists what is known of the models that a render loads on an endpoint, besides the names that stand in the graph: other names that
// they have there. models are those of the job.
func Models(e compiler.EndpointConfig, models []string) (out []string) {
	for _, m := range models {
		name := m
		if alias := e.Aliases[m]; alias != "" && alias != m {
			name = alias
			out = append(out, m+" is "+alias)
		}
		if hash := e.ModelHashes[name]; hash != "" {
			out = append(out, name+" has "+hash)
		}
	}
	slices.Sort(out)
	return out
}
