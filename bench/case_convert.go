package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

var convertCases = []Case{
	{Name: "ConvertCheckTemplates", What: "all official templates read, converted and checked in process, against comfy-cli's converter alone on parsed files; same /object_info",
		Skip: needPeerAndTruth, Run: convertTemplates, Goals: []Goal{
			{Unit: "times", Least: 20, Meaning: "20 times as fast"}, {Unit: "cpu-times", Least: 20, Meaning: "also by processor time"}}},
}

// madeUp begins the names of recorded workflows that are no official templates: blueprints, and cases made to be hard.
var madeUp = []string{"blueprint-", "sgbp-", "hard-"}

// templates gives the UI form of each official template, and writes them to a folder for the peer.
func (e *Env) templates() (texts [][]byte, folder string, err error) {
	paths, err := filepath.Glob(e.shared("truth/ui2api/*.json"))
	if err != nil {
		return nil, "", err
	}
	for _, path := range paths {
		name := filepath.Base(path)
		if slices.ContainsFunc(madeUp, func(p string) bool { return strings.HasPrefix(name, p) }) {
			continue
		}
		text, err := workflowOf(path)
		if err != nil {
			return nil, "", err
		}
		texts = append(texts, text)
		at, err := e.write("templates/"+name, string(text))
		if err != nil {
			return nil, "", err
		}
		folder = filepath.Dir(at)
	}
	if len(texts) == 0 {
		return nil, "", errors.New("no template is in ../shared/truth/ui2api")
	}
	return texts, folder, nil
}

// workflowOf takes the UI form out of a recorded case.
func workflowOf(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	v, err := source.ParseJSON(source.NewFile(path, data), source.Limits{})
	if err != nil {
		return nil, err
	}
	if v.Get("workflow") == nil {
		return nil, fmt.Errorf("%s holds no workflow", path)
	}
	return v.Get("workflow").AppendJSON(nil), nil
}

// convertTemplates takes the best pass of each side: what else runs on the machine only ever adds.
func convertTemplates(e *Env, b *testing.B) error {
	texts, folder, err := e.templates()
	if err != nil {
		return err
	}
	info, err := source.ReadFile(e.shared("truth/object_info.json"))
	if err != nil {
		return err
	}
	cat, _ := nodes.LoadFile(info)
	if cat == nil {
		return errors.New("the /object_info file cannot be read")
	}
	p, err := e.findPeer()
	if err != nil {
		return err
	}
	theirs, err := p.convert(e, folder, 3)
	if err != nil {
		return err
	}
	if theirs.Files != len(texts) {
		return fmt.Errorf("the peer read %d files, not %d", theirs.Files, len(texts))
	}
	var wall, cpu []time.Duration
	for b.Loop() {
		for range 5 {
			start, before := time.Now(), processorTime()
			for _, text := range texts { // Check converts what is in UI form
				compiler.Check(context.Background(), source.NewFile("template.json", text), compiler.CheckOptions{Catalogue: cat})
			}
			wall, cpu = append(wall, time.Since(start)), append(cpu, processorTime()-before)
		}
	}
	refused := 0
	for _, text := range texts {
		if prompt, _ := compiler.Convert(source.NewFile("template.json", text), cat); prompt == nil {
			refused++
		}
	}
	b.ReportMetric(float64(len(texts)), "templates")
	b.ReportMetric(float64(refused), "refused")
	b.ReportMetric(float64(theirs.Refused), "peer-refused")
	b.ReportMetric(millis(slices.Min(wall)), "ms")
	b.ReportMetric(millis(slices.Min(cpu)), "cpu-ms")
	b.ReportMetric(slices.Min(theirs.WallS)*1e3, "peer-ms")
	b.ReportMetric(slices.Min(theirs.CPUS)*1e3, "peer-cpu-ms")
	b.ReportMetric(float64(seconds(slices.Min(theirs.WallS)))/float64(slices.Min(wall)), "times")
	b.ReportMetric(float64(seconds(slices.Min(theirs.CPUS)))/float64(slices.Min(cpu)), "cpu-times")
	b.ReportMetric(0, "ns/op")
	return nil
}

// processorTime is what this process has used so far, in all its threads.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
