package bench

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/source"
)

// Goal and figure are by processor time, as the plain way uses one core and the compiler may use more.
var hashCases = []Case{
	{Name: "ResolveHash", What: "renders of 12 nodes and four axes resolved and hashed, against copying, setting, writing and hashing their JSON; in turn. " +
		"renders/cpu-s: per second of processor time, in the best round", Run: resolveHash, Goals: []Goal{{Unit: "renders/cpu-s", Least: 200_000, Meaning: "200,000 a second"}}},
}

// resolveHash compiles 50,000 renders, findings and file names included, and does as many of a tenth the plain way.
// The sweep has 10 prompts, 50 seeds, 10 values of cfg and 10 samplers: 50,000 in all.
func resolveHash(e *Env, b *testing.B) error {
	const ours, plain = 50_000, 5_000 // a tenth: rates are compared
	path, err := e.write("hash/flow.json", flow)
	if err != nil {
		return err
	}
	text := []byte(sweepOf("flow.json", 10, 50, 10, 10))
	var spent, naive time.Duration
	var cpu []time.Duration
	for b.Loop() {
		start, before := time.Now(), processorTime()
		p, findings := compiler.Compile(context.Background(), compiler.Source{File: source.NewFile(path+".yaml", text), Dir: e.Temp + "/hash"})
		if p == nil || p.Len() != ours { // 50,000 distinct ones: no render may be lost to equal hashes
			return fmt.Errorf("no plan: %v", findings)
		}
		spent += time.Since(start)
		cpu = append(cpu, processorTime()-before)
		start = time.Now()
		if err := naiveHashes(plain); err != nil { // in the same turn
			return err
		}
		naive += time.Since(start)
	}
	mine := float64(ours*b.N) / spent.Seconds()
	theirs := float64(plain*b.N) / naive.Seconds()
	b.ReportMetric(mine, "renders/s")
	b.ReportMetric(ours/slices.Min(cpu).Seconds(), "renders/cpu-s")
	b.ReportMetric(theirs, "plain-renders/s")
	b.ReportMetric(mine/theirs, "times")
	return nil
}

// naiveHashes does what a script would: a deep copy of the prompt by way of its JSON, four values, its JSON again, SHA-256.
// It is what a careful person would write in an afternoon, with the standard library alone.
func naiveHashes(n int) error {
	seen := map[[32]byte]bool{}
	for i := range n {
		var prompt map[string]struct {
			Class  string         `json:"class_type"`
			Inputs map[string]any `json:"inputs"`
		}
		if err := json.Unmarshal([]byte(flow), &prompt); err != nil {
			return err
		}
		in := prompt["3"].Inputs
		in["seed"], in["cfg"], in["sampler_name"] = i/100, float64(i%10), fmt.Sprint("sampler", i/10%10) // distinct for every i below 5,000
		prompt["6"].Inputs["text"] = "a red fox"
		out, err := json.Marshal(prompt)
		if err != nil {
			return err
		}
		seen[sha256.Sum256(out)] = true
	}
	// If two renders had the same hash, the plain way would be wrong, and the comparison with it.
	if len(seen) != n {
		return errors.New("renders share a hash")
	}
	return nil
}
