package run

import (
	"strings"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/emulator/worker"
)

// What can be said before a run about whether its endpoints will do: the preview worker knows its nodes, and a GPU's memory is published. Of the
// nodes on a real worker nothing is known from here; those are found out by its answer.

// CannotRun gives the check that says why an endpoint cannot run a node class, "" if it can; nil if it is not known what it cannot run.
func CannotRun(cfg compiler.EndpointConfig) func(class string) string {
	if cfg.Type != "preview" {
		return nil
	}
	return func(class string) string {
		if worker.Supports(class) == worker.None {
			return "the preview worker does not know how to run " + class
		}
		return ""
	}
}

// Supports gives [CannotRun] by the names of a plan's endpoints, as compiler.ReportOptions wants it.
func Supports(plan *compiler.Plan) func(endpoint, class string) string {
	// The map is not changed after this, so the result may be called from several goroutines.
	checks := map[string]func(string) string{}
	for _, cfg := range plan.Endpoints() {
		checks[cfg.Name] = CannotRun(cfg)
	}
	return func(endpoint, class string) string {
		if check := checks[endpoint]; check != nil {
			return check(class)
		}
		return ""
	}
}

// Unsupported finds the nodes that none of the plan's endpoints can run.
func Unsupported(plan *compiler.Plan) []diag.Diagnostic {
	var out []diag.Diagnostic
	// A node is reported once, though each graph that templates make has it again.
	said := map[string]bool{}
	for _, g := range plan.Graphs() {
		for _, i := range g.Order {
			n := &g.Nodes[i]
			if reasons := refusals(plan, n.Class); reasons != nil && !said[n.ID] {
				said[n.ID] = true
				out = append(out, diag.Errorf("no_endpoint_fits", diag.Of(n.Value), "no endpoint of this batch can run node %s (%s): %s",
					n.ID, n.Class, strings.Join(reasons, "; ")).About(n.ID, "").Hinted("name an endpoint that can with --endpoint"))
			}
		}
	}
	return out
}

// refusals says for each endpoint why it cannot run a class; nil if one can.
func refusals(plan *compiler.Plan, class string) (reasons []string) {
	for _, cfg := range plan.Endpoints() {
		check := CannotRun(cfg)
		// Of an endpoint of which nothing is known it is taken that it can: the remote has the last word.
		if check == nil || check(class) == "" {
			return nil
		}
		reasons = append(reasons, cfg.Name+": "+check(class))
	}
	return reasons
}

// fits says why a plan's renders cannot run on an endpoint for want of memory, "" if they can or if that is not known. It is asked once for each
// endpoint and kind of graph.
func fits(plan *compiler.Plan) func(scheduler.Properties, *compiler.Job) string {
	// By name, as the memory that is needed was worked out for the endpoints of the plan and not for those that a program brings.
	why := map[string]string{}
	for _, e := range plan.Report(compiler.ReportOptions{}).Endpoints {
		if e.Memory.TooSmall() {
			why[e.Name] = e.Memory.Verdict()
		}
	}
	return func(p scheduler.Properties, _ *compiler.Job) string { return why[p.Name] }
}
