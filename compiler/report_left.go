package compiler

import "fmt"

// leftEstimates says for each endpoint what the renders would take there that are neither done nor in a
// cache; zero estimates if none is left.
func (p *Plan) leftEstimates(r PlanReport, opt ReportOptions) []Estimate {
	n := r.Renders - r.Reused - r.Cached
	if n == 0 {
		return make([]Estimate, len(p.configs))
	}
	return p.estimates(n, func(i int) bool {
		return (opt.Done == nil || !opt.Done(p.ids[i])) && (opt.Cached == nil || !opt.Cached(i))
	})
}

// figures prints the seconds and the money that are known, each after a comma.
func (e *Estimate) figures() string {
	text := ""
	if s := e.Seconds; s != (Range{}) {
		text += fmt.Sprintf(", %.0f to %.0f s", s.Low, s.High)
	}
	if d := e.USD; d != (Range{}) {
		text += fmt.Sprintf(", $%.2f to $%.2f", d.Low, d.High)
	}
	return text
}
