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
type module struct{ path, version, sum string }

// modulesOf reads from a binary which modules it was built of, by path.
func modulesOf(binary string) ([]module, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	var out []module
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		out = append(out, module{m.Path, m.Version, m.Sum})
	}
	slices.SortFunc(out, func(a, b module) int { return strings.Compare(a.path, b.path) })
	return out, nil
}

// bill is the software bill of materials, as CycloneDX 1.6 has it.
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
		return component{kind, purl, path, version, purl}
	}
	list := []component{}
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
func moduleDir(ctx context.Context, m module) (string, error) {
	text, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", m.path).Output()
	if err != nil {
		return "", fmt.Errorf("go list -m %s: %w", m.path, err)
	}
	dir := strings.TrimSpace(string(text))
	if dir == "" {
		return "", errors.New(m.path + " is not in the module cache")
	}
	return dir, nil
}

// licenceNames begin the names of files with licences.
var licenceNames = []string{"license", "licence", "copying", "notice", "unlicense"}

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
