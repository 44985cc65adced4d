package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/scheduler/store"
)

// A run that gets too little memory dies of it, each time a little later; the next one goes on. In the end every picture is there once, and what was
// rendered twice was reported as uncertain. The limit is that of a process's data, as a container's: Go's runtime dies without any clearing up then, as
// by kill -9.
func TestOutOfMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and starves real processes; run without -short")
	}
	const n = 16
	binary := buildBinary(t)
	base := startEmulator(t, binary, crashEndpoint)
	dir := t.TempDir()
	writeCrashBatch(t, dir, base, n)
	large := `{"1": {"class_type": "EmptyImage", "inputs": {"width": 900, "height": 900, "batch_size": 1, "color": 0}},
 "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}}`
	if err := os.WriteFile(filepath.Join(dir, "workflow.json"), []byte(large), 0o600); err != nil {
		t.Fatal(err)
	}
	deaths, amid := 0, 0
	for mib := 128; mib <= 448; mib += 32 {
		cmd := exec.Command("sh", "-c", fmt.Sprintf(`ulimit -d %d && exec "$0" render --json --no-reuse batch.yaml`, mib<<10), binary)
		cmd.Dir = dir
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		err := cmd.Run()
		var ended *exec.ExitError
		if err == nil || errors.As(err, &ended) && ended.ExitCode() == exitIncomplete {
			break
		}
		if text := stderr.String(); !strings.Contains(text, "memory") && !strings.Contains(text, "allocat") && !strings.Contains(text, "thread") && !strings.Contains(text, "SIG") {
			t.Fatalf("with %d MiB it died of something else: %v\n%s", mib, err, text)
		}
		deaths++
		if begun(t, filepath.Join(dir, "out")) {
			amid++
		}
	}
	if amid == 0 {
		t.Skipf("SKIPPED, nothing was tested: of %d runs none died of its memory after it had submitted something", deaths)
	}
	uncertain := finishAndListUncertain(t, binary, dir)
	checkPictures(t, dir, n)
	twice := 0
	for _, p := range emulatorStats(t, base).Endpoint("crash").Prefixes {
		if p.Executed == 1 {
			continue
		}
		if twice++; !uncertain[strings.TrimPrefix(p.Prefix, "c")[:12]] {
			t.Errorf("the render with prefix %s was rendered %d times and never said to be uncertain", p.Prefix, p.Executed)
		}
	}
	t.Logf("%d runs died of their memory, %d of them after a submit: %d uncertain, %d rendered twice", deaths, amid, len(uncertain), twice)
}

// begun tells whether a run directory knows of a submit. Every state that there is can be read.
func begun(t *testing.T, dir string) bool {
	s, err := store.OpenRead(dir)
	if errors.Is(err, os.ErrNotExist) {
		return false
	} else if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	m, err := s.Meta(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return m.Last > 0
}
