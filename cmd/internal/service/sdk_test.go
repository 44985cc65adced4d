package service

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The packages that are driven, as they are on PyPI and npm.
var (
	pythonSDKs = []string{"runpod==1.12.0", "novita-gpus==0.0.1"}
	nodeSDK    = "runpod-sdk@1.1.2"
)

// tools is a folder in the user's cache that outlives the test, so that packages are installed once.
func tools(t *testing.T, name string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: real SDKs are not driven")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skipf("SKIPPED: there is no cache folder: %v", err)
	}
	dir := filepath.Join(cache, "comfyc-tests", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// prepare runs a program that installs something; the test is skipped if it fails.
func prepare(t *testing.T, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: %s %s: %v\n%.500s", name, strings.Join(args, " "), err, out)
	}
}

// venv gives the Python of an environment that has the packages.
func venv(t *testing.T, name string, packages ...string) string {
	t.Helper()
	dir := tools(t, name)
	python := filepath.Join(dir, "bin", "python")
	mark := filepath.Join(dir, "installed")
	if have, err := os.ReadFile(mark); err == nil && string(have) == strings.Join(packages, " ") {
		return python
	}
	prepare(t, "python3", "-m", "venv", dir)
	prepare(t, python, append([]string{"-m", "pip", "install", "-q", "--disable-pip-version-check"}, packages...)...)
	if err := os.WriteFile(mark, []byte(strings.Join(packages, " ")), 0o644); err != nil {
		t.Fatal(err)
	}
	return python
}

// sdkService is a service on loopback with a pool that is quick and one that is not.
func sdkService(t *testing.T) *client {
	file, ends := slowEndpoint(t, t.TempDir(), "endpoints:\n  fast: {type: preview}\n  slow: {type: preview, limits: {in_flight: 1}, emulator: {execution: 10h}}\n")
	return serve(t, Options{EndpointsFile: file, Endpoints: ends, Listen: loopbackListen})
}

// lateness is what the clients say when an answer did not come within the 3 to 10 seconds that they wait.
var lateness = regexp.MustCompile(`(?i)time.?out|timed out|ECONNABORTED`)

// drive runs a script against a service of its own and holds that it says what was expected. The clients' own patience is short, and a busy
// machine's processor may be elsewhere for longer: a script that ends for that is run anew, twice at most.
func drive(t *testing.T, want []string, command func(base string) []string) {
	t.Helper()
	for try := 1; ; try++ {
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute) // only bounds a hang
		args := command(sdkService(t).base)
		out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
		cancel()
		if err != nil && try < 3 && lateness.Match(out) {
			t.Logf("try %d: the client would not wait:\n%.2000s", try, out)
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
		for _, what := range append(want, "done") {
			if what != "done" {
				what = "ok " + what
			}
			if !strings.Contains("\n"+string(out), "\n"+what+"\n") {
				t.Errorf("it did not say %q:\n%s", what, out)
			}
		}
		return
	}
}

func TestPythonSDKs(t *testing.T) {
	python := venv(t, "sdk-python", pythonSDKs...)
	every := []string{"submit", "poll", "output", "wrapped", "health", "purge", "purged", "cancel", "a bad workflow fails", "an unknown endpoint is an error"}
	for kind, want := range map[string][]string{
		"runpod":        append([]string{"stream", "run_sync"}, every...),
		"runpod-novita": every,
		"novita":        every,
		"runpod-async":  {"submit", "poll", "output", "wrapped twice", "stream", "health", "purge", "cancel", "a bad workflow fails"},
	} {
		t.Run(kind, func(t *testing.T) {
			drive(t, want, func(base string) []string {
				return []string{python, filepath.Join("testdata", "sdk_sync.py"), base, kind}
			})
		})
	}
}

func TestNodeSDK(t *testing.T) {
	dir := tools(t, "sdk-node")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "runpod-sdk")); err != nil {
		prepare(t, "npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", dir, nodeSDK)
	}
	script, err := os.ReadFile(filepath.Join("testdata", "sdk.js"))
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(dir, "sdk.js") // beside its node_modules
	if err := os.WriteFile(at, script, 0o644); err != nil {
		t.Fatal(err)
	}
	drive(t, []string{"submit", "poll", "output", "runSync", "stream", "health", "purge", "cancel", "a bad workflow fails", "an unknown endpoint is an error"}, func(base string) []string {
		return []string{"node", at, base}
	})
}
