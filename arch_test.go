// Package comfyc_test holds the direction of imports: what each package may use of the others, and which package alone may use a
// library. Change the lists with the code, never the direction.
package comfyc_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"sort"
	"strings"
	"testing"
)

const module = "github.com/comfyc/comfyc/"

// allowed lists the project's own packages that each package imports, one layer after the other; nothing points back.
var allowed = map[string][]string{
	"schemas": {},

	"compiler/source":   {},
	"compiler/diag":     {"compiler/source"},
	"nodes":             {"compiler/diag", "compiler/source"},
	"nodes/script":      {"compiler/diag", "compiler/source", "nodes"},
	"compiler/filename": {},
	"compiler/sweep":    {"compiler/diag", "compiler/source"},
	"compiler/lower":    {"compiler/diag", "compiler/source", "nodes"},
	"compiler/graph":    {"compiler/diag", "compiler/source", "nodes"},
	"compiler/prompt":   {"compiler/diag", "compiler/source"},
	"compiler/vram":     {"compiler/graph", "compiler/source", "nodes"},
	"compiler/view":     {"compiler/diag", "compiler/graph", "compiler/source", "nodes"},
	"compiler": {"compiler/diag", "compiler/filename", "compiler/graph", "compiler/lower", "compiler/prompt", "compiler/source", "compiler/sweep", "compiler/vram", "nodes",
		"nodes/script", "schemas"},

	"scheduler":                    {"compiler", "scheduler/durable"},
	"scheduler/durable":            {},
	"scheduler/store":              {"compiler", "scheduler", "scheduler/durable"},
	"scheduler/store/pgtest":       {},
	"scheduler/emulator/s3test":    {},
	"scheduler/lease":              {"compiler", "scheduler", "scheduler/store"},
	"scheduler/dialect/call":       {"scheduler"},
	"scheduler/dialect/worker":     {"compiler", "compiler/source", "scheduler"},
	"scheduler/dialect/jobs":       {"compiler", "compiler/source", "scheduler", "scheduler/dialect/call", "scheduler/dialect/worker"},
	"scheduler/dialect/novita":     {"compiler", "scheduler", "scheduler/dialect/call", "scheduler/dialect/jobs", "scheduler/dialect/worker"},
	"scheduler/dialect/runpod":     {"compiler", "scheduler", "scheduler/dialect/call", "scheduler/dialect/jobs", "scheduler/dialect/worker"},
	"scheduler/dialect/comfyui":    {"compiler", "scheduler", "scheduler/dialect/call", "scheduler/dialect/worker"},
	"scheduler/dialect/serverless": {"compiler", "scheduler", "scheduler/dialect/call", "scheduler/dialect/comfyui", "scheduler/dialect/jobs", "scheduler/dialect/worker"},
	"scheduler/dialect": {"compiler", "scheduler", "scheduler/dialect/call", "scheduler/dialect/comfyui", "scheduler/dialect/jobs",
		"scheduler/dialect/novita", "scheduler/dialect/runpod", "scheduler/dialect/serverless", "scheduler/dialect/worker"},
	"scheduler/chat":            {"compiler", "scheduler", "scheduler/dialect", "scheduler/dialect/call", "scheduler/durable"},
	"scheduler/emulator/worker": {},
	"scheduler/emulator":        {"compiler/diag", "compiler/source", "nodes", "scheduler/emulator/worker"},

	"render/post": {},
	"render":      {"compiler", "compiler/filename", "compiler/source", "render/post", "scheduler", "scheduler/durable"},
	"render/s3":   {"render", "render/cache", "scheduler", "scheduler/durable"},

	"render/cache": {"compiler", "scheduler/durable"},
	"render/run":   {"compiler", "compiler/diag", "compiler/source", "render", "render/cache", "render/post", "render/s3", "scheduler", "scheduler/dialect", "scheduler/emulator", "scheduler/emulator/worker", "scheduler/store"},

	"bench": {"compiler", "compiler/source", "nodes", "nodes/script", "render", "render/post", "scheduler", "scheduler/dialect", "scheduler/dialect/call", "scheduler/dialect/worker", "scheduler/emulator",
		"scheduler/emulator/worker", "scheduler/store", "scheduler/store/pgtest", "scheduler/lease"},
	"bench/run":   {"bench"},
	"bench/sizes": {},

	"cmd/comfyc":                    {"cmd/internal/cli"},
	"cmd/internal/webhook":          {"scheduler/dialect/call"},
	"cmd/release":                   {"cmd/internal/cli"},
	"cmd/internal/service/seal":     {},
	"cmd/internal/service/trace":    {},
	"cmd/internal/service/figures":  {},
	"cmd/internal/service/ledger":   {"scheduler", "scheduler/store"},
	"cmd/internal/service/keys":     {"cmd/internal/service/ledger"},
	"cmd/internal/service/outgoing": {"cmd/internal/service/ledger", "cmd/internal/service/seal", "cmd/internal/webhook", "scheduler/dialect/call"},
	"cmd/internal/service/queue": {"scheduler/lease", "cmd/internal/service/keys", "cmd/internal/service/ledger", "cmd/internal/service/outgoing", "cmd/internal/service/seal", "cmd/internal/service/trace", "cmd/internal/webhook",
		"compiler", "compiler/diag", "compiler/filename", "compiler/source", "nodes", "nodes/script", "render", "render/run", "render/s3", "scheduler", "scheduler/dialect", "scheduler/dialect/call",
		"scheduler/durable", "scheduler/emulator", "scheduler/store"},
	"cmd/internal/service/web":  {"cmd/internal/service/figures", "cmd/internal/service/keys", "cmd/internal/service/trace", "compiler/diag", "compiler/source"},
	"cmd/internal/service/page": {"cmd/internal/service/web"},
	"cmd/internal/service/api": {"cmd/internal/service/keys", "cmd/internal/service/ledger", "cmd/internal/service/outgoing", "cmd/internal/service/queue", "cmd/internal/service/seal",
		"cmd/internal/service/web", "cmd/internal/webhook", "compiler", "compiler/diag", "compiler/source", "scheduler"},
	"cmd/internal/service/compat": {"cmd/internal/service/keys", "cmd/internal/service/ledger", "cmd/internal/service/queue", "cmd/internal/service/seal", "cmd/internal/service/web",
		"compiler/source"},
	"cmd/internal/service/native": {"cmd/internal/service/keys", "cmd/internal/service/ledger", "cmd/internal/service/queue", "cmd/internal/service/web", "compiler", "compiler/diag",
		"compiler/source", "nodes", "scheduler"},
	"cmd/internal/service": {"scheduler/lease", "cmd/internal/service/api", "cmd/internal/service/compat", "cmd/internal/service/figures", "cmd/internal/service/keys", "cmd/internal/service/ledger", "cmd/internal/service/native",
		"cmd/internal/service/outgoing", "cmd/internal/service/page", "cmd/internal/service/queue", "cmd/internal/service/seal", "cmd/internal/service/trace", "cmd/internal/service/web", "render/s3", "compiler",
		"compiler/diag", "compiler/source", "nodes", "nodes/script", "scheduler", "schemas"},
	"cmd/internal/cli": {"cmd/internal/service", "cmd/internal/service/keys", "cmd/internal/service/ledger", "cmd/internal/webhook", "compiler", "compiler/diag", "compiler/graph", "compiler/view", "compiler/source", "nodes", "nodes/script", "render", "render/cache", "render/run", "render/s3", "scheduler", "scheduler/chat", "scheduler/dialect", "scheduler/durable",
		"scheduler/emulator", "scheduler/store", "schemas", "scheduler/lease"},
}

// only lists libraries that are used in the named packages and nowhere else (tests aside).
var only = map[string][]string{
	"github.com/santhosh-tekuri/jsonschema/v5": {"schemas"},
	"github.com/dop251/goja":                   {"nodes/script"},
	"github.com/disintegration/imaging":        {"render/post"},
	"github.com/HugoSmits86/nativewebp":        {"render/post"},
	"github.com/minio/minio-go/v7":             {"cmd/internal/service/queue", "render/s3", "scheduler/emulator", "scheduler/emulator/s3test"},
	"github.com/valyala/fasthttp":              {"scheduler/emulator", "cmd/internal/service/api", "cmd/internal/service/web"},
	"modernc.org/sqlite":                       {"scheduler/store"},
	"github.com/jackc/pgx/v5":                  {"cmd/internal/service/ledger", "scheduler/store", "scheduler/store/pgtest", "scheduler/lease"},
	"github.com/riverqueue/river":              {"scheduler/lease"},
	"github.com/spf13/cobra":                   {"cmd/internal/cli", "cmd/release"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
	Doc        string
	GoFiles    []string
}

func TestImportDirection(t *testing.T) {
	packages := list(t)
	for _, p := range packages {
		name := strings.TrimPrefix(p.ImportPath, module)
		want, ok := allowed[name]
		if !ok {
			t.Errorf("package %s is not in the list of this test", name)
			continue
		}
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("package %s has no package documentation", name)
		}
		for _, imported := range p.Imports {
			if own, ok := strings.CutPrefix(imported, module); ok && !slices.Contains(want, own) {
				t.Errorf("%s imports %s, which the list does not allow", name, own)
			}
			checkLibrary(t, name, imported)
		}
	}
	checkUnused(t, packages)
}

func checkLibrary(t *testing.T, name, imported string) {
	for library, homes := range only {
		if (imported == library || strings.HasPrefix(imported, library+"/")) && !slices.Contains(homes, name) {
			t.Errorf("%s imports %s, which only %s may", name, imported, strings.Join(homes, ", "))
		}
	}
}

// checkUnused keeps the list exact: what it allows and nobody uses is taken out of it.
func checkUnused(t *testing.T, packages []goPackage) {
	used := map[string][]string{}
	for _, p := range packages {
		used[strings.TrimPrefix(p.ImportPath, module)] = p.Imports
	}
	var names []string
	for name := range allowed {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		imports, ok := used[name]
		if !ok {
			t.Errorf("the list names package %s, which does not exist", name)
		}
		for _, own := range allowed[name] {
			if !slices.Contains(imports, module+own) {
				t.Errorf("the list allows %s to import %s, which it does not", name, own)
			}
		}
	}
}

func list(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Doc,GoFiles", "./...")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %s", exit.Stderr)
		}
		t.Fatal(err)
	}
	var packages []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); err == io.EOF {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		if p.ImportPath+"/" != module {
			packages = append(packages, p)
		}
	}
}
