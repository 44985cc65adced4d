package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sdk is one of the platforms' own clients.
// script lies beside this file; it prints one JSON object.
type sdk struct{ module, script string }

var (
	runpodSDK = sdk{"runpod", "peer_runpod_sdk.py"}
	novitaSDK = sdk{"novita_gpus", "peer_novita_sdk.py"}
)

// find gives a Python that has the package: the one in the virtual environment that COMFYC_RUNPOD_VENV names, else python3.
// Both packages are expected in the same environment.
func (s sdk) find() (python string, err error) {
	python = "python3"
	if venv := os.Getenv("COMFYC_RUNPOD_VENV"); venv != "" {
		python = filepath.Join(venv, "bin", "python")
	}
	if err := exec.Command(python, "-c", "import "+s.module).Run(); err != nil {
		return "", errors.New("the package " + s.module + " is not found: name a virtual environment that has it in COMFYC_RUNPOD_VENV")
	}
	return python, nil
}

// need is the Skip of both cases.
func (s sdk) need(*Env) error {
	_, err := s.find()
	return err
}

// saidSDK is what the scripts print.
type saidSDK struct {
	WallS    float64        `json:"wall_s"`   // on the clock, from the first submit to the last result
	CPUS     float64        `json:"cpu_s"`    // of the whole process, imports left out
	Finished map[string]int `json:"finished"` // by the platform's word: "COMPLETED" → how many
	Version  string         `json:"version"`
}

// run lets the client do so many jobs of one graph.
// prompt is the path of a file with the graph. Fewer completed jobs than asked for is an error: the rest would be time that was
// not spent.
func (s sdk) run(e *Env, base string, jobs int, prompt string) (said saidSDK, err error) {
	python, err := s.find()
	if err != nil {
		return said, err
	}
	// The SDK adds the endpoint's name itself.
	out, err := exec.Command(python, filepath.Join(e.Root, "bench", s.script), strings.TrimSuffix(base, "/ep"), strconv.Itoa(jobs), prompt).Output()
	if err != nil {
		return said, fmt.Errorf("run the SDK: %w", err)
	}
	if err := json.Unmarshal(out, &said); err != nil || said.Finished["COMPLETED"] != jobs {
		return said, fmt.Errorf("the SDK said %s, %w", out, err)
	}
	e.versioned(s.module, said.Version)
	return said, nil
}

// jobs runs the plan, then lets the SDK run as many jobs of the same graph on the same server.
// Ours and the SDK's run follow each other in each turn, on a server that is the same for both.
func (s sdk) jobs(e *Env, b *testing.B) error {
	base, plan, stop, err := e.jobServer()
	if err != nil {
		return err
	}
	defer stop()
	job, err := plan.Job(0)
	if err != nil {
		return err
	}
	prompt, err := e.write("jobs/prompt.json", string(job.Prompt))
	if err != nil {
		return err
	}
	var ours, theirs, cpu time.Duration
	for b.Loop() {
		start := time.Now()
		if err := e.runPlan(b.Context(), plan, base, newCounter()); err != nil { // connections are made anew, as the SDK's are
			return err
		}
		ours += time.Since(start)
		said, err := s.run(e, base, instantJobs, prompt)
		if err != nil {
			return err
		}
		theirs += seconds(said.WallS)
		cpu += seconds(said.CPUS)
	}
	b.ReportMetric(float64(instantJobs*b.N)/ours.Seconds(), "jobs/s")
	b.ReportMetric(float64(instantJobs*b.N)/theirs.Seconds(), "sdk-jobs/s")
	b.ReportMetric(theirs.Seconds()/ours.Seconds(), "times-sdk")
	b.ReportMetric(cpu.Seconds()/float64(b.N), "sdk-cpu-s")
	b.ReportMetric(0, "ns/op")
	return nil
}
