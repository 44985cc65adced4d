package bench

import (
	"fmt"
	"testing"
)

// The products are 10,000, 100,000 and 1,000,000 renders. Memory must not grow with them, since a sweep is walked lazily.
var planCases = []Case{
	planCase("Plan10000", 10, 20, 10, 5, Goal{Unit: "ms", Most: 1000, Meaning: "under 1 s"}, Goal{Unit: "peak-MB", Most: 150, Meaning: "under 150 MB"}),
	planCase("Plan100000", 25, 40, 10, 10),
	planCase("Plan1000000", 50, 100, 20, 10, Goal{Unit: "peak-MB", Most: 200, Meaning: "under 200 MB"}),
}

// planCase runs `comfyc plan` as a process and takes its time and its peak of memory.
// A process, because peak memory is that of a process; its start, about the time of VersionProcess, is in the figure.
func planCase(name string, prompts, seeds, cfgs, samplers int, goals ...Goal) Case {
	n := prompts * seeds * cfgs * samplers
	return Case{Name: name, What: fmt.Sprintf("`comfyc plan` of %d renders as a process", n), Goals: goals, Run: func(e *Env, b *testing.B) error {
		program, err := e.comfyc()
		if err != nil {
			return err
		}
		if _, err := e.write(name+"/flow.json", flow); err != nil { // each case has its own folder
			return err
		}
		batch, err := e.write(name+"/batch.yaml", sweepOf("flow.json", prompts, seeds, cfgs, samplers))
		if err != nil {
			return err
		}
		var runs samples
		for b.Loop() {
			if err := runs.process(0, program, "plan", batch); err != nil {
				return err
			}
		}
		runs.report(b, "")
		b.ReportMetric(runs.peakMB(), "peak-MB")
		b.ReportMetric(0, "ns/op") // replaced by the figures of the process itself
		return nil
	}}
}
