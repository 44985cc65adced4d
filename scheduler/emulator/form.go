// Results as the worker images hand them over. What is lost here is lost in reality: worker-comfyui tells neither node nor subfolder of a file, and
// of temporary images nothing; below 5.0.0 it gives one picture however many there are; Novita's worker gives one node's.

package emulator

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/comfyc/comfyc/compiler/source"
)

// outcome gives a worker's answer in its form. base is how the client reaches the emulator.
func (f form) outcome(ctx context.Context, ep *endpoint, w *work, r *result, id, base string) outcome {
	o := outcome{saved: r.files, fails: r.fails}
	d := delivery{em: ep.em, outputs: ep.Outputs, id: id, base: base}
	if d.outputs == JobBucket {
		d.outputs = Base64
		if w.bucket != nil {
			if err := d.upload(ctx, w.bucket, r.files); err != nil {
				return outcome{err: "Job processing failed", output: details([]string{err.Error()})}
			}
		}
	}
	switch f {
	case formNovita:
		f.novita(&o, w, d)
	case formComfyUIOld:
		f.old(&o, d)
	default:
		f.comfyui(&o, d)
	}
	return o
}

// comfyui is the form of worker-comfyui from 5.0.0 on: what was saved to the output folder, without node and subfolder.
func (f form) comfyui(o *outcome, d delivery) {
	problems := o.problems()
	out := []byte(`{"images":[`)
	images := 0
	for _, s := range o.saved {
		if s.folder != "output" {
			continue
		}
		if images++; images > 1 {
			out = append(out, ',')
		}
		out = append(out, `{"filename":`...)
		out = source.AppendQuoted(out, s.filename)
		out = d.append(append(out, `,"type":`...), s)
		out = append(out, '}')
	}
	out = append(out, ']')
	switch {
	// Nothing was saved and something failed: FAILED, with the texts in output.details.
	case images == 0 && len(problems) > 0:
		o.output, o.err = details(problems), "Job processing failed"
		return
	case images == 0:
		o.output = []byte(`{"status":"success_no_images","images":[]}`)
		return
	// A partial success: COMPLETED with `errors`, which a client that looks at the status only does not see.
	case len(problems) > 0:
		out = append(append(out, `,"errors":`...), list(problems)...)
	}
	o.output = append(out, '}')
}

// old is the form of worker-comfyui below 5.0.0: one image only, the last.
func (f form) old(o *outcome, d delivery) {
	for i := len(o.saved) - 1; i >= 0; i-- {
		if s := o.saved[i]; s.folder == "output" {
			o.output = append(append([]byte(`{"message":`), d.value(s)...), `,"status":"success"}`...)
			return
		}
	}
	o.err = "the image does not exist in the specified output folder"
	if p := o.problems(); len(p) > 0 {
		o.err = p[0]
	}
}

// novita is the form of Novita's own worker: URLs of what one node made, temporary or not.
func (f form) novita(o *outcome, w *work, d delivery) {
	out := []byte(`{"images":[`)
	images := 0
	d.outputs = URL
	for _, s := range o.saved {
		if s.node != w.outputNode {
			continue
		}
		if images++; images > 1 {
			out = append(out, ',')
		}
		out = append(out, `{"filename":`...)
		out = source.AppendQuoted(out, s.filename)
		out = append(append(append(out, `,"url":`...), d.value(s)...), '}')
	}
	if p := o.problems(); images == 0 && len(p) > 0 {
		o.err = p[0]
		return
	}
	o.output = append(out, "]}"...)
}

// problems words what failed while it ran.
func (o *outcome) problems() (out []string) {
	for _, e := range o.fails {
		out = append(out, fmt.Sprintf("Workflow execution error: Node Type: %s, Node ID: %s, Message: %s", e.Class, e.Node, e.Message))
	}
	return out
}

func list(items []string) []byte {
	text, err := json.Marshal(items)
	if err != nil { // strings can always be written
		panic(err)
	}
	return text
}

// details is the output of a failed job, nil if there is nothing to say.
func details(items []string) []byte {
	if len(items) == 0 {
		return nil
	}
	return append(append([]byte(`{"details":`), list(items)...), '}')
}

// delivery hands the images of one job over.
type delivery struct {
	em      *Emulator
	outputs Delivery
	id      string
	base    string
	links   map[string]string // of images that lie in a bucket elsewhere; nil if they lie here
}

// append adds type and data of an image.
func (d delivery) append(out []byte, s saved) []byte {
	kind := `"base64"`
	if d.outputs != Base64 {
		kind = `"s3_url"`
	}
	return append(append(append(out, kind...), `,"data":`...), d.value(s)...)
}

// value is the image as a JSON string: its bytes, or where they are.
func (d delivery) value(s saved) []byte {
	data, _ := d.em.vault.get(s.blob)
	switch d.outputs {
	case URL:
		if link := d.links[s.folder+"/"+s.subfolder+"/"+s.filename]; link != "" {
			return source.AppendQuoted(nil, link)
		}
		return source.AppendQuoted(nil, d.em.files.link(d.base, d.id, s))
	case Path:
		return source.AppendQuoted(nil, "simulated_uploaded/"+s.filename)
	}
	d.em.vault.release(s.blob) // only the cache needs it now
	out := make([]byte, 1, base64.StdEncoding.EncodedLen(len(data))+2)
	out[0] = '"'
	return append(base64.StdEncoding.AppendEncode(out, data), '"')
}

// cut leaves the last image of an output out, and tells nobody: that is how a branch that fails ComfyUI's validation looks from outside.
func (f form) cut(output []byte) []byte {
	var fields struct {
		Images []jsontext.Value `json:"images"`
		Errors jsontext.Value   `json:"errors,omitempty"`
	}
	if jsonv2.Unmarshal(output, &fields) != nil || len(fields.Images) == 0 {
		return output
	}
	fields.Images = fields.Images[:len(fields.Images)-1]
	out, err := jsonv2.Marshal(&fields)
	if err != nil { // it was just read
		panic(err)
	}
	return out
}
