package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// module is a dependency that is in the binary.
// sum is the module's "h1:" hash of go.sum, by which a reader of the bill could check the module's text.
type module struct{ path, version, sum string }

// modulesOf reads from binaries which modules they were built of, by path; a module that only one platform needs is among them.
// What the linker took in is what counts, not go.mod: a module that no platform's code needs is not shipped. It fails for files
// that are no Go binaries.
func modulesOf(binaries []string) ([]module, error) {
	var out []module
	for _, binary := range binaries {
		info, err := buildinfo.ReadFile(binary)
		if err != nil {
			return nil, err
		}
		for _, m := range info.Deps {
			if m.Replace != nil { // a replaced module is shipped as what replaced it
				m = m.Replace
			}
			out = append(out, module{m.Path, m.Version, m.Sum})
		}
	}
	slices.SortFunc(out, func(a, b module) int { return strings.Compare(a.path, b.path) })
	return slices.Compact(out), nil
}

// bill is the software bill of materials, as CycloneDX 1.6 has it.
// Components are named by package URL, for example pkg:golang/github.com/spf13/cobra@v1.9.1. There is no serial number and no
// time, so that the same source gives the same bytes.
func bill(version string, modules []module) ([]byte, error) {
	type component struct {
		Type    string `json:"type"`
		Ref     string `json:"bom-ref"`
		Name    string `json:"name"`
		Version string `json:"version"`
		PURL    string `json:"purl"`
	}
	of := func(kind, path, version string) component {
		purl := "pkg:golang/" + path + "@" + version
		return component{kind, purl, path, version, purl} // the reference within the document is the package URL itself
	}
	list := []component{} // an empty list, not null, which the specification does not allow
	for _, m := range modules {
		list = append(list, of("library", m.path, m.version))
	}
	return json.MarshalIndent(map[string]any{
		"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
		"metadata":   map[string]any{"component": of("application", "github.com/comfyc/comfyc", version)},
		"components": list,
	}, "", "  ")
}

// licences joins the licence files of all modules. A module without one is an error: it must not be shipped.
// The text goes beside the binaries as LICENSES.txt. Modules come in the order of their paths, each under a line with its
// version.
func licences(ctx context.Context, modules []module) ([]byte, error) {
	var b bytes.Buffer
	for _, m := range modules {
		dir, err := moduleDir(ctx, m)
		if err != nil {
			return nil, err
		}
		texts, err := licenceFiles(dir)
		if err != nil {
			return nil, err
		}
		if len(texts) == 0 {
			return nil, fmt.Errorf("%s %s has no licence file", m.path, m.version)
		}
		fmt.Fprintf(&b, "%s\n%s %s\n%s\n", strings.Repeat("=", 80), m.path, m.version, strings.Repeat("=", 80))
		for _, text := range texts {
			b.Write(bytes.TrimSpace(text))
			b.WriteString("\n\n")
		}
	}
	return b.Bytes(), nil
}

// moduleDir is where the module cache has a module.
// It asks the Go tool, one process for each module; the module must have been downloaded, which the build before has done.
func moduleDir(ctx context.Context, m module) (string, error) {
	text, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", m.path).Output()
	if err != nil {
		return "", fmt.Errorf("go list -m %s: %w", m.path, err)
	}
	dir := strings.TrimSpace(string(text))
	if dir == "" { // an empty answer, and exit status 0, is what `go list` gives for that
		return "", errors.New(m.path + " is not in the module cache")
	}
	return dir, nil
}

// licenceNames begin the names of files with licences.
// They are compared in lower case: LICENSE, LICENSE.txt, License.md, COPYING, NOTICE. A NOTICE must be passed on by Apache's
// licence.
var licenceNames = []string{"license", "licence", "copying", "notice", "unlicense"}

// licenceFiles looks at the top folder only, which is where licences of Go modules stand. `license.go` is code and is left out.
func licenceFiles(dir string) (texts [][]byte, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name := strings.ToLower(e.Name())
		if e.IsDir() || strings.HasSuffix(name, ".go") || !slices.ContainsFunc(licenceNames, func(n string) bool { return strings.HasPrefix(name, n) }) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, nil
}
