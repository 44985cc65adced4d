package bench

import (
	"context"
	"encoding/json"
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

// The peer converts parsed objects; ours reads text, converts and checks, and is still held to 20 times.
var convertCases = []Case{
	{Name: "ConvertCheckTemplates", What: "all official templates read, converted and checked in process, against comfy-cli's converter alone on parsed files; same /object_info. convert-times: the conversion alone, both from the text, by processor time. " +
		"The floor: valid-cpu-ms is json.Valid over the same texts, unmarshal-cpu-ms json.Unmarshal, which make nothing of them or no more than maps",
		Skip: needPeerAndTruth, Run: convertTemplates, Goals: []Goal{
			{Unit: "times", Least: 20, Meaning: "20 times as fast"}, {Unit: "cpu-times", Least: 20, Meaning: "also by processor time"}}},
}

// madeUp begins the names of recorded workflows that are no official templates: blueprints, and cases made to be hard.
// Users have official templates; the hard ones would move the mean to what nobody has.
var madeUp = []string{"blueprint-", "sgbp-", "hard-"}

// converting is the time of passes over all templates: checked, which converts them first, and converted alone; and what the standard library takes to
// read the same texts, once only to see that they are right.
type converting struct{ wall, cpu, alone, unmarshal, valid []time.Duration }

// pass looks at every template once each way.
// All in one goroutine. Findings and prompts are dropped: what is measured is the work.
func (c *converting) pass(texts [][]byte, cat *nodes.Catalogue) {
	start, before := time.Now(), processorTime()
	// Checking converts UI forms first, so this pass contains the next one's work.
	for _, text := range texts {
		compiler.Check(context.Background(), source.NewFile("template.json", text), compiler.CheckOptions{Catalogue: cat})
	}
	c.wall, c.cpu = append(c.wall, time.Since(start)), append(c.cpu, processorTime()-before)
	before = processorTime()
	for _, text := range texts {
		compiler.Convert(source.NewFile("template.json", text), cat)
	}
	c.alone = append(c.alone, processorTime()-before)
	before = processorTime()
	for _, text := range texts {
		var v any
		_ = json.Unmarshal(text, &v) // ours has read the same text without an error
	}
	c.unmarshal = append(c.unmarshal, processorTime()-before)
	before = processorTime()
	for _, text := range texts {
		json.Valid(text)
	}
	c.valid = append(c.valid, processorTime()-before)
}

// report holds the best pass against the peer's.
// Times of the peer are in seconds, ours in durations. The best pass of each side is compared, never best with worst.
func (c *converting) report(b *testing.B, theirs *converted) {
	wall, cpu, alone := slices.Min(c.wall), slices.Min(c.cpu), slices.Min(c.alone)
	b.ReportMetric(float64(theirs.Refused), "peer-refused")
	b.ReportMetric(millis(wall), "ms")
	b.ReportMetric(millis(cpu), "cpu-ms")
	b.ReportMetric(millis(slices.Min(c.unmarshal)), "unmarshal-cpu-ms")
	b.ReportMetric(millis(slices.Min(c.valid)), "valid-cpu-ms")
	b.ReportMetric(slices.Min(theirs.WallS)*1e3, "peer-ms")
	b.ReportMetric(slices.Min(theirs.CPUS)*1e3, "peer-cpu-ms")
	b.ReportMetric(slices.Min(theirs.WallS)/wall.Seconds(), "times")
	b.ReportMetric(slices.Min(theirs.CPUS)/cpu.Seconds(), "cpu-times")
	// The same work on both sides: from the text of a workflow to its prompt, no check.
	b.ReportMetric(millis(alone), "convert-cpu-ms")
	b.ReportMetric((slices.Min(theirs.CPUS)+theirs.ParsedS)/alone.Seconds(), "convert-times")
}

// refused counts the templates that we do not convert.
// Both sides' refusals are told, so that a converter that gives up early does not look fast.
func refused(texts [][]byte, cat *nodes.Catalogue) (n int) {
	for _, text := range texts {
		if prompt, _ := compiler.Convert(source.NewFile("template.json", text), cat); prompt == nil {
			n++
		}
	}
	return n
}

// templates gives the UI form of each official template, and writes them to a folder for the peer.
// Order is that of the file names. The peer gets the same bytes that we read.
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
// Recorded cases are objects with the workflow and what the frontend made of it; only the first is wanted.
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
	theirs, err := p.convert(e, folder, 3) // three passes; its start and imports are not in them
	if err != nil {
		return err
	}
	e.versioned("comfy-cli", theirs.Version)
	// Both sides must have read the same files, or the comparison is worth nothing.
	if theirs.Files != len(texts) {
		return fmt.Errorf("the peer read %d files, not %d", theirs.Files, len(texts))
	}
	var ours converting
	for b.Loop() {
		for range 5 { // five passes each turn: the best of many
			ours.pass(texts, cat)
		}
	}
	ours.report(b, theirs)
	b.ReportMetric(float64(len(texts)), "templates")
	b.ReportMetric(float64(refused(texts, cat)), "refused")
	b.ReportMetric(0, "ns/op")
	return nil
}

// processorTime is what this process has used so far, in all its threads.
// On systems without getrusage it is 0 and so are the figures made of it. The clock's resolution is some microseconds on Linux.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
