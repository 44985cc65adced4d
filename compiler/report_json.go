package compiler

import (
	"github.com/comfyc/comfyc/compiler/source"
)

// ToValue gives a report as the object that `comfyc plan --json` prints. Figures that are not known are left out.
func (r *PlanReport) ToValue() *source.Value {
	o := &object{}
	o.text("name", r.Name)
	o.text("hash", r.Hash)
	o.number("coordinates", r.Coordinates)
	o.number("renders", r.Renders)
	o.number("duplicates", r.Duplicates)
	o.number("reused", r.Reused)
	o.number("cached", r.Cached)
	o.number("graphs", r.Graphs)
	axes := source.NewArray()
	for _, a := range r.Axes {
		x := &object{}
		x.text("name", a.Name)
		x.number("values", a.Values)
		x.texts("addresses", a.Addresses)
		x.texts("first", a.First)
		axes.Items = append(axes.Items, x.value())
	}
	o.put("axes", axes)
	if r.Expansion != nil {
		o.put("expansion", r.Expansion.toValue())
	}
	o.texts("outputs", r.Outputs)
	o.number("uploads", r.Uploads)
	o.number("upload_bytes", int(r.UploadBytes))
	endpoints := source.NewArray()
	for i := range r.Endpoints {
		endpoints.Items = append(endpoints.Items, r.Endpoints[i].toValue())
	}
	o.put("endpoints", endpoints)
	return o.value()
}

// toValue writes one endpoint; left is there only if something is done already.
func (e *EndpointReport) toValue() *source.Value {
	o := &object{}
	o.text("name", e.Name)
	o.text("type", e.Type)
	if e.GPU != "" {
		o.text("gpu", e.GPU)
	}
	o.number("shards", e.Shards)
	o.interval("seconds", e.Estimate.Seconds)
	o.interval("usd", e.Estimate.USD)
	if e.Left.Renders < e.Estimate.Renders {
		left := &object{}
		left.number("renders", e.Left.Renders)
		left.interval("seconds", e.Left.Seconds)
		left.interval("usd", e.Left.USD)
		o.put("left", left.value())
	}
	o.texts("reasons", e.Estimate.Reasons)
	if e.Memory != nil {
		o.put("memory", e.Memory.toValue())
	}
	o.texts("problems", e.Problems)
	return o.value()
}

// object collects members of a JSON object.
type object struct{ members []source.Member }

func (o *object) put(key string, v *source.Value) {
	o.members = append(o.members, source.Member{Key: key, Value: v})
}

func (o *object) text(key, s string) { o.put(key, source.NewString(s)) }

func (o *object) number(key string, n int) { o.put(key, source.NewInt(int64(n))) }

func (o *object) texts(key string, list []string) {
	out := source.NewArray()
	for _, s := range list {
		out.Items = append(out.Items, source.NewString(s))
	}
	o.put(key, out)
}

// interval writes a range as {low, high}; one that is not known is left out.
func (o *object) interval(key string, r Range) {
	if r == (Range{}) {
		return
	}
	o.put(key, source.NewObject(source.Member{Key: "low", Value: source.NewFloat(r.Low)}, source.Member{Key: "high", Value: source.NewFloat(r.High)}))
}

func (o *object) value() *source.Value { return source.NewObject(o.members...) }
