package bench

import (
	"fmt"
	"path/filepath"
	"testing"
)

var processCases = []Case{
	{Name: "CheckProcess", What: "`comfyc check` of one workflow as a process, against `comfy workflow validate`; in turn, both with the same /object_info file",
		Skip: needPeerAndTruth, Run: checkProcess, Goals: []Goal{{Unit: "times", Least: 15, Meaning: "15 times as fast"}}},
}

func needPeerAndTruth(e *Env) error {
	if err := e.needShared("truth/ui2api"); err != nil {
		return err
	}
	_, err := e.findPeer()
	return err
}

// checkProcess runs three processes in turn: the peer, comfyc with the peer's file, and comfyc as it is.
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
func (e *Env) prompts() (string, error) {
	path, err := e.write("prompts/default.json", flow)
	if err != nil {
		return "", fmt.Errorf("write the workflow: %w", err)
	}
	return filepath.Dir(path), nil
}
