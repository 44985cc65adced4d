package bench

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// Sizes double or more up to a hundred thousand nodes, so that work which is not linear shows in cpu-ns/node.
var checkCases = []Case{
	checkCase(1_000), checkCase(2_000, Goal{Unit: "best-ms", Most: 20, Meaning: "under 20 ms"}), checkCase(5_000), checkCase(10_000),
	checkCase(20_000), checkCase(50_000), checkCase(100_000),
}

// checkCase is the whole check of a prompt of n nodes, from its text. B/node and allocs/node stay the same where the work is linear. cpu-ns/node
// rises by about half from a thousand nodes, whose three megabytes lie in the processor's caches, to a hundred thousand, whose three hundred do not:
// the memory is new to the process (page faults) and walked through by the garbage collector. With GOGC=off it rises as well.
func checkCase(n int, goals ...Goal) Case {
	return Case{Name: fmt.Sprintf("Check%d", n), What: fmt.Sprintf("check of a graph of %d nodes, from its text", n), Goals: goals,
		Run: func(_ *Env, b *testing.B) error { return check(b, n) }}
}

// check measures turns, each of which checks the text anew, as the first check after a start would; a GC between turns counts as its cost.
func check(b *testing.B, n int) error {
	text := []byte(promptOf(n))
	opt := compiler.CheckOptions{Catalogue: nodes.BuiltIn()}
	var wall, cpu []time.Duration
	var first, last runtime.MemStats
	runtime.ReadMemStats(&first) // only differences count: the package's other cases have allocated before
	for b.Loop() {
		start, before := time.Now(), processorTime()
		if r := compiler.Check(context.Background(), source.NewFile("flow.json", text), opt); !r.Valid || len(r.GoodOutputs) == 0 {
			return fmt.Errorf("%d findings", len(r.Findings))
		}
		wall, cpu = append(wall, time.Since(start)), append(cpu, processorTime()-before)
	}
	runtime.ReadMemStats(&last)
	// Best times leave out what else ran on the machine; the middle processor time shows what a usual check costs.
	each := float64(n) * float64(len(wall))
	b.ReportMetric(float64(last.TotalAlloc-first.TotalAlloc)/each, "B/node")
	b.ReportMetric(float64(last.Mallocs-first.Mallocs)/each, "allocs/node")
	b.ReportMetric(millis(slices.Min(wall)), "best-ms")
	b.ReportMetric(millis(middle(cpu)), "cpu-ms")
	b.ReportMetric(float64(slices.Min(cpu))/float64(n), "cpu-ns/node")
	return nil
}
