package bench

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
)

// Both sides get the same workflow and the same file of classes; "snapshot-" figures are ours with that file, the plain ones
// with the built-in catalogue.
var processCases = []Case{
	{Name: "CheckProcess", What: "`comfyc check` of one workflow as a process, against `comfy workflow validate`; in turn, both with the same /object_info file",
		Skip: needPeerAndTruth, Run: checkProcess, Goals: []Goal{{Unit: "times", Least: 15, Meaning: "15 times as fast"}}},
	{Name: "VersionProcess", What: "`comfyc version` as a process: what every start costs", Run: versionProcess,
		Goals: []Goal{{Unit: "best-ms", Most: 30, Meaning: "under 30 ms"}}},
}

// versionProcess takes the best start, and the middle one.
// The best start shows what the program costs, the middle one what a busy machine makes of it.
func versionProcess(e *Env, b *testing.B) error {
	program, err := e.comfyc()
	if err != nil {
		return err
	}
	var runs samples
	for b.Loop() {
		if err := runs.process(0, program, "version"); err != nil {
			return err
		}
	}
	runs.report(b, "")
	b.ReportMetric(millis(slices.Min(runs.wall)), "best-ms")
	b.ReportMetric(runs.peakMB(), "peak-MB")
	b.ReportMetric(0, "ns/op")
	return nil
}

// needPeerAndTruth skips if either is missing.
func needPeerAndTruth(e *Env) error {
	if err := e.needShared("truth/ui2api"); err != nil {
		return err
	}
	_, err := e.findPeer()
	return err
}

// checkProcess runs three processes in turn: the peer, comfyc with the peer's file, and comfyc as it is.
// The peer's verdict is known beforehand, so another exit status than that is an error and no figure.
func checkProcess(e *Env, b *testing.B) error {
	program, err := e.comfyc()
	if err != nil {
		return err
	}
	p, err := e.findPeer()
	if err != nil {
		return err
	}
	prompt, err := e.prompts()
	if err != nil {
		return err
	}
	workflow, info := filepath.Join(prompt, "default.json"), e.shared("truth/object_info.json")
	var theirs, same, plain samples
	for b.Loop() {
		if err := theirs.process(p.status, p.program, "workflow", "validate", "--workflow", workflow, "--input", info); err != nil {
			return err
		}
		if err := same.process(p.status, program, "check", "--nodes", info, workflow); err != nil {
			return err
		}
		if err := plain.process(0, program, "check", workflow); err != nil {
			return err
		}
	}
	plain.report(b, "")
	same.report(b, "snapshot-")
	theirs.report(b, "peer-")
	b.ReportMetric(float64(middle(theirs.wall))/float64(middle(plain.wall)), "times")
	b.ReportMetric(float64(middle(theirs.cpu))/float64(middle(plain.cpu)), "cpu-times")
	b.ReportMetric(0, "ns/op")
	return nil
}

// prompts writes the API prompt that both sides check, and gives its folder.
// The peer reads a folder, we read the file in it.
func (e *Env) prompts() (string, error) {
	path, err := e.write("prompts/default.json", flow)
	if err != nil {
		return "", fmt.Errorf("write the workflow: %w", err)
	}
	return filepath.Dir(path), nil
}
