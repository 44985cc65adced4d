package main

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

var full = flag.Bool("full", false, "build the whole command")

// TestBill reads the modules of this test's own binary.
func TestBill(t *testing.T) {
	t.Chdir("../..")
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	checkBill(t, binary)
}

// TestNative builds for this machine twice: the bytes are equal, the binary is static, it says its version, and the bill names what is in it.
func TestNative(t *testing.T) {
	if !*full {
		t.Skip("builds the whole command twice, which takes minutes from an empty cache: go test ./cmd/release -args -full")
	}
	t.Chdir("../..")
	native := target{runtime.GOOS, runtime.GOARCH}
	dir := t.TempDir()
	var sizes [2]int64
	var texts [2]string
	for i := range 2 {
		path := filepath.Join(dir, native.file()+strings.Repeat("2", i))
		if err := build(t.Context(), native, "v9.8.7", path); err != nil {
			t.Fatal(err)
		}
		size, err := inspect(path, native)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sizes[i], texts[i] = size, string(text)
	}
	if texts[0] != texts[1] {
		t.Errorf("two builds differ: %d and %d bytes", sizes[0], sizes[1])
	}
	out, err := exec.Command(filepath.Join(dir, native.file()), "version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "comfyc v9.8.7 ") {
		t.Errorf("version says %q, %v", out, err)
	}
	checkBill(t, filepath.Join(dir, native.file()))
}

func checkBill(t *testing.T, binary string) {
	modules, err := modulesOf([]string{binary, binary})
	if err != nil {
		t.Fatal(err)
	}
	text, err := bill("v9.8.7", modules)
	if err != nil {
		t.Fatal(err)
	}
	var b struct {
		Components []struct{ Name string }
	}
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, c := range b.Components {
		if have[c.Name] {
			t.Errorf("%s is in the bill twice", c.Name)
		}
		have[c.Name] = true
	}
	for _, want := range []string{"github.com/santhosh-tekuri/jsonschema/v5", "github.com/dop251/goja", "github.com/sourcegraph/conc", "github.com/valyala/fasthttp", "github.com/disintegration/imaging"} {
		if !have[want] {
			t.Errorf("the bill lacks %s", want)
		}
	}
	if text, err := licences(t.Context(), modules); err != nil || !strings.Contains(string(text), "github.com/dop251/goja") {
		t.Errorf("licences: %d bytes, %v", len(text), err)
	}
}

// TestChosen: platforms are named as Go names them.
func TestChosen(t *testing.T) {
	for name, want := range map[string]int{"": len(targets), "windows/arm64": 1, "plan9/amd64": 0, "linux": 0} {
		if list, err := chosen(name); len(list) != want || (err != nil) != (want == 0) {
			t.Errorf("%q: %v, %v", name, list, err)
		}
	}
}

// TestCold: each pattern of the packages without inlining still fits a package of the program.
func TestCold(t *testing.T) {
	t.Chdir("../..")
	out, err := exec.Command("go", "list", "-deps", "./cmd/comfyc").Output()
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Fields(string(out))
	for _, pattern := range cold {
		path, below := strings.CutSuffix(pattern, "/...")
		if !slices.ContainsFunc(all, func(p string) bool { return p == path || below && strings.HasPrefix(p, path+"/") }) {
			t.Errorf("nothing is %s", pattern)
		}
	}
}

// TestInspect refuses what is not an executable of the platform.
func TestInspect(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range targets {
		if other.os == runtime.GOOS && other.arch == runtime.GOARCH {
			continue
		}
		if _, err := inspect(exe, other); err == nil {
			t.Errorf("this test's binary passes for %s/%s", other.os, other.arch)
		}
	}
}

func TestChecksums(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"b": "two", "a": "one"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := checksums(dir, []string{"b", "a"}); err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	want := "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed  a\n3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3  b\n"
	if string(got) != want {
		t.Errorf("got %s", got)
	}
}

// TestManuals writes a page for every command that is not hidden.
func TestManuals(t *testing.T) {
	dir := t.TempDir()
	if err := manuals(dir, "v1"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"man/comfyc.1", "man/comfyc-render.1", "man/comfyc-nodes-show.1", "completions/comfyc.bash", "completions/_comfyc"} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || len(text) < 200 {
			t.Errorf("%s: %d bytes, %v", name, len(text), err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "man/comfyc-script-child.1")); err == nil {
		t.Error("a hidden command has a page")
	}
}
