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

// findSDK gives a Python that has the runpod package: the one in the virtual environment that COMFYC_RUNPOD_VENV names, else python3.
func findSDK() (python string, err error) {
	python = "python3"
	if venv := os.Getenv("COMFYC_RUNPOD_VENV"); venv != "" {
		python = filepath.Join(venv, "bin", "python")
	}
	if err := exec.Command(python, "-c", "import runpod.endpoint").Run(); err != nil {
		return "", errors.New("the runpod package is not found: name a virtual environment that has it in COMFYC_RUNPOD_VENV")
	}
	return python, nil
}

func needSDK(*Env) error {
	_, err := findSDK()
	return err
}

// jobsSDK runs the plan, then lets the SDK run as many jobs of the same graph.
func jobsSDK(e *Env, b *testing.B) error {
	python, err := findSDK()
	if err != nil {
		return err
	}
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
		if err := e.runPlan(b.Context(), plan, base, newCounter()); err != nil {
			return err
		}
		ours += time.Since(start)
		out, err := exec.Command(python, filepath.Join(e.Root, "bench", "peer_runpod_sdk.py"), strings.TrimSuffix(base, "/ep"), strconv.Itoa(instantJobs), prompt).Output()
		if err != nil {
			return fmt.Errorf("run the SDK: %w", err)
		}
		var said struct {
			WallS    float64 `json:"wall_s"`
			CPUS     float64 `json:"cpu_s"`
			Finished map[string]int
		}
		if err := json.Unmarshal(out, &said); err != nil || said.Finished["COMPLETED"] != instantJobs {
			return fmt.Errorf("the SDK said %s, %w", out, err)
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
