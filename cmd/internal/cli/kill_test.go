package cli

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/comfyc/comfyc/render"
	"github.com/comfyc/comfyc/scheduler/emulator"
)

// The crash campaign: `make crash` runs the long form.
var (
	killsFlag   = flag.Int("kills", 6, "kill -9 how often")
	rendersFlag = flag.Int("renders", 60, "renders of the batch that is killed")
	seedFlag    = flag.Uint64("kill-seed", 0, "of the moments of the kills; 0 takes the clock's")
)

// crashEndpoint is the emulated endpoint of the tests that end a process at any moment.
const crashEndpoint = `
endpoints:
  crash:
    worker: runpod/worker-comfyui:5.5.0-base
    workers: {min: 8, max: 8}
    execution: 60ms
`

// A batch is killed again and again at random moments over an emulated endpoint, then run to the end. Every picture is there once, and
// what was rendered twice was reported as uncertain.
func TestKillNine(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and kills real processes; run without -short")
	}
	binary := buildBinary(t)
	base := startEmulator(t, binary, crashEndpoint)
	dir := t.TempDir()
	writeCrashBatch(t, dir, base, *rendersFlag)
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("kill-seed %d", seed)
	moments := rand.New(rand.NewPCG(seed, 1))
	killed := 0
	for range *killsFlag {
		if runAndKill(t, binary, dir, moments.IntN(3**rendersFlag / *killsFlag + 20)) {
			killed++
		}
	}
	uncertain := finishAndListUncertain(t, binary, dir)
	checkPictures(t, dir, *rendersFlag)
	stats := emulatorStats(t, base)
	twice := 0
	for _, p := range stats.Endpoint("crash").Prefixes {
		if p.Executed == 1 {
			continue
		}
		twice++
		if !uncertain[strings.TrimPrefix(p.Prefix, "c")[:12]] {
			t.Errorf("the render with prefix %s was rendered %d times and never said to be uncertain", p.Prefix, p.Executed)
		}
	}
	if len(stats.Endpoint("crash").Prefixes) != *rendersFlag {
		t.Errorf("%d renders were executed, want %d", len(stats.Endpoint("crash").Prefixes), *rendersFlag)
	}
	t.Logf("%d kills, %d renders: %d uncertain, %d rendered twice, %d executed in all",
		killed, *rendersFlag, len(uncertain), twice, stats.Endpoint("crash").Executed)
}

// buildBinary builds the command, as a user has it.
func buildBinary(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "comfyc")
	cmd := exec.Command("go", "build", "-o", name, "github.com/comfyc/comfyc/cmd/comfyc")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return name
}

// startEmulator runs `comfyc emulate` on a free port until the test ends, and gives its base URL.
func startEmulator(t *testing.T, binary, config string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "emulator.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "emulate", "--listen", "127.0.0.1:0", "--config", file)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the emulator did not start: %v", err)
	}
	return strings.TrimSpace(line)
}

// writeCrashBatch writes a batch of n renders of a small image graph, and its endpoint.
func writeCrashBatch(t *testing.T, dir, base string, n int) {
	t.Helper()
	for name, text := range map[string]string{
		"workflow.json": `{
 "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 48, "batch_size": 1, "color": 0}},
 "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}
}`,
		"batch.yaml": fmt.Sprintf(`version: 1
name: crash
workflow: workflow.json
sweep: {matrix: {EmptyImage.color: {from: 1, count: %d}}}
endpoints: [crash]
schedule: {max-parallel: 16}
`, n),
		"comfyc-endpoints.yaml": fmt.Sprintf(`endpoints:
  crash:
    type: novita
    url: %s/v1/crash
    gpu: rtx4090
    workers: {min: 8, max: 8}
    price: {usd_per_second: 0.0003, as_of: 2026-08}
`, base),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// runAndKill starts a render and kills it after some lines of events. It tells whether there was anything left to kill.
func runAndKill(t *testing.T, binary, dir string, lines int) bool {
	t.Helper()
	cmd := exec.Command(binary, "render", "--json", "--no-reuse", filepath.Join(dir, "batch.yaml"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(out)
	for ; lines > 0 && in.Scan(); lines-- {
	}
	alive := cmd.Process.Kill() == nil && lines == 0
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil && !alive && !strings.Contains(err.Error(), "exit status 3") {
		t.Fatalf("render: %v\n%s", err, stderr.String())
	}
	return alive
}

// finishAndListUncertain runs the batch once more to see what is held, then to the end. It gives the ids, 12 hex digits each, of all renders that
// were ever said to be uncertain.
func finishAndListUncertain(t *testing.T, binary, dir string) map[string]bool {
	t.Helper()
	uncertain := map[string]bool{}
	for _, flags := range [][]string{nil, {"--resubmit-uncertain"}} {
		args := append([]string{"render", "--json", "--no-reuse", filepath.Join(dir, "batch.yaml")}, flags...)
		cmd := exec.Command(binary, args...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil && (flags != nil || cmd.ProcessState.ExitCode() != exitIncomplete) {
			t.Fatalf("comfyc %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
		}
		for line := range bytes.Lines(out) {
			var e struct {
				Summary struct {
					Held []struct{ ID string } `json:"held_renders"`
				}
			}
			if err := json.Unmarshal(line, &e); err != nil {
				t.Fatalf("no JSON line: %s", line)
			}
			for _, held := range e.Summary.Held {
				uncertain[held.ID[:12]] = true
			}
		}
	}
	return uncertain
}

// checkPictures reads the manifest of a run and every file that it names.
func checkPictures(t *testing.T, dir string, want int) {
	t.Helper()
	m, err := render.ReadManifestFile(filepath.Join(dir, "out", "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	if m.Totals.Done != want || m.Totals.Files != want {
		t.Errorf("the manifest has %d renders done and %d files, want %d", m.Totals.Done, m.Totals.Files, want)
	}
	for _, cell := range m.Cells {
		for _, f := range cell.Files {
			data, err := os.ReadFile(filepath.Join(dir, "out", filepath.FromSlash(f.Path)))
			if err != nil {
				t.Error(err)
				continue
			}
			if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != f.SHA256 {
				t.Errorf("%s has another content than the manifest says", f.Path)
			}
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "out", "images", ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("temporary files are left: %v %v", left, err)
	}
}

func emulatorStats(t *testing.T, base string) emulator.Stats {
	t.Helper()
	resp, err := http.Get(base + "/_emulator/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var stats emulator.Stats
	if err := json.NewDecoder(resp.Body).Decode(&stats); err != nil {
		t.Fatal(err)
	}
	return stats
}
