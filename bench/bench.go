// Package bench measures comfyc: what the project promises about speed and memory, in one list, next to the best peer where there is one.
//
// [Cases] is the list. `go run ./bench/run` measures all of it, prints lines in Go's benchmark format and a table with goals, and keeps both in
// bench/results; `go test -bench . ./bench` runs the same cases with Go's own flags. Figures are of the machine at that moment: where two things
// are compared they are measured in turn in one run, and their processor time is given beside the time on the clock.
//
// Peers are optional: comfy-cli and comfy-lint in the virtual environment that COMFYC_PEER_VENV names, ComfyUI in the checkout COMFYC_COMFYUI_DIR, the
// runpod package in COMFYC_RUNPOD_VENV, Pillow for the Python COMFYC_PILLOW. Without them, and without the recorded workflows in ../shared/truth,
// cases that need them are skipped, and the reason is said.
//
// Concurrency: cases are run one at a time. Limits: peak memory of processes is measured on Unix only.
package bench

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Case is one thing that is measured.
type Case struct {
	Name string // as Go names benchmarks, without the word
	What string // one line
	// Skip says why it cannot run here; nil if it can.
	// A reason is printed and never counted as a failure, so that a machine without peers measures the rest.
	Skip func(*Env) error
	// Run measures. It is called by the testing package with a growing b.N, and reports figures of its own by b.ReportMetric.
	// An error means that what was measured is wrong or missing, such as a batch that is not done: then no figure is kept.
	Run func(*Env, *testing.B) error
	// Goals are what the figures are held against.
	// A missed goal is shown and fails nothing, since figures depend on the machine.
	Goals []Goal
}

// Goal bounds one figure. Unit is that of b.ReportMetric, or ns/op.
// A goal with Most and Least both 0 is met by anything.
type Goal struct {
	Unit    string
	Most    float64 // 0 for none
	Least   float64 // 0 for none
	Meaning string  // the goal in words, as promised to users
}

// Met tells whether a figure reaches the goal.
// The bounds themselves count as met.
func (g Goal) Met(figure float64) bool {
	return (g.Most == 0 || figure <= g.Most) && (g.Least == 0 || figure >= g.Least)
}

// Cases lists all that is measured. Plans stand first: Linux counts what this process took before it started another one to the other's peak.
var Cases = concat(planCases, catalogueCases, checkCases, hashCases, templateCases, collectCases, jobCases, jobLimitCases, simCases, storeCases, replicaCases, convertCases, validateCases, processCases, scaleCases, serviceCases)

// concat keeps the order of its arguments, which is the order of the measurements.
func concat(lists ...[]Case) (out []Case) {
	for _, list := range lists {
		out = append(out, list...)
	}
	return out
}

// Env is what cases share: places, and things that are made once.
// Cases are run one at a time, so nothing here is locked.
type Env struct {
	Root string // the module's folder
	Temp string // for files; the caller removes it

	// Versions are those of the peers that were measured, by name.
	Versions map[string]string

	program string // path of the comfyc that was built, "" before
	peer    *peer  // comfy-cli, nil before it was looked for
}

// versioned notes which version of a peer was measured.
func (e *Env) versioned(name, version string) {
	if e.Versions == nil {
		e.Versions = map[string]string{}
	}
	e.Versions[name] = version
}

// NewEnv finds the module that holds the current folder.
// The folder is found by its go.mod, so that both `go test ./bench` and `go run ./bench/run` work from anywhere inside.
func NewEnv(temp string) (*Env, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return &Env{Root: dir, Temp: temp}, nil
		}
		if dir == filepath.Dir(dir) {
			return nil, errors.New("bench is run inside the module's folder")
		}
	}
}

// shared gives a path in the recorded facts beside the module.
// These recordings of real servers' answers are not part of the module; who has none measures the other cases.
func (e *Env) shared(path string) string { return filepath.Join(e.Root, "..", "shared", path) }

// needShared is a Skip that wants recorded facts.
func (e *Env) needShared(path string) error {
	if _, err := os.Stat(e.shared(path)); err != nil {
		return fmt.Errorf("../shared/%s is not there", path)
	}
	return nil
}

// comfyc builds the program, once.
// Processes are measured as users have them: with -trimpath and without the race detector or coverage.
func (e *Env) comfyc() (string, error) {
	if e.program != "" {
		return e.program, nil
	}
	out := filepath.Join(e.Temp, "comfyc")
	cmd := exec.Command("go", "build", "-trimpath", "-o", out, "./cmd/comfyc")
	cmd.Dir = e.Root
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build comfyc: %w\n%s", err, text)
	}
	e.program = out
	return out, nil
}

// write puts a file into the temporary folder and gives its path.
// Folders on the way are made; a file of the same name is replaced.
func (e *Env) write(name, text string) (string, error) {
	path := filepath.Join(e.Temp, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, []byte(text), 0o644)
}
