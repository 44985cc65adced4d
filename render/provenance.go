package render

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/comfyc/comfyc/render/post"
	"github.com/comfyc/comfyc/scheduler"
)

// A picture should still say where it comes from when it has left its folder. So the texts prompt and workflow,
// by which ComfyUI opens a picture as a graph, are written to match the one render (a worker embeds the whole
// merged graph), and a text comfyc is added. On the way, everything that looks like a key is taken out; see
// scrub.go.

// Provenance is what a picture of a render is to say of itself.
type Provenance struct {
	Batch  string // the batch's name
	Plan   string // the plan's hash, in hex
	Render string // the hash of the resolved graph, in hex
	Cell   string // the id of the first coordinate that asked for it, in hex
	// Coordinates give an axis value's label by the axis's name.
	Coordinates map[string]string
	Seed        string // decimal, "" if there is none
	// Prompt is the render's own graph in API form, as JSON; it stands in for what the worker embedded, which for merged renders is the
	// merged graph. Workflow is the same in the editor's form. nil leaves what the worker embedded.
	Prompt, Workflow []byte
}

// Stamp is the JSON under the key comfyc in a picture's metadata: where it comes from and what it took.
type Stamp struct {
	Version     int               `json:"version"` // 1
	Batch       string            `json:"batch,omitempty"`
	Plan        string            `json:"plan,omitempty"`
	Cell        string            `json:"cell,omitempty"`
	Coordinates map[string]string `json:"coordinates,omitempty"`
	Seed        string            `json:"seed,omitempty"`
	// Graph is the hash of the resolved graph, by which equal renders are known.
	Graph    string `json:"graph,omitempty"`
	Node     string `json:"node,omitempty"`
	Endpoint string `json:"endpoint,omitempty"`
	GPU      string `json:"gpu,omitempty"`
	Worker   string `json:"worker,omitempty"`
	// Seconds is the time paid for by the job, in seconds, CostUSD its estimated price; both are the job's, which has
	// Renders renders (left out for one).
	Seconds float64  `json:"seconds,omitempty"`
	CostUSD *float64 `json:"cost_usd,omitempty"`
	Renders int      `json:"renders,omitempty"`
	Preview bool     `json:"preview,omitempty"`
}

// stampKey is the name of the text chunk.
const stampKey = "comfyc"

// stamp is what the collector knows of an output, with what the caller told.
func (p Provenance) stamp(result *scheduler.Result, at place) Stamp {
	s := Stamp{
		Version: 1, Batch: p.Batch, Plan: p.Plan, Cell: p.Cell, Coordinates: p.Coordinates, Seed: p.Seed, Graph: p.Render, Node: at.owed.Node,
		Endpoint: result.Endpoint.Name, GPU: result.Endpoint.GPU, Worker: result.Worker, Seconds: result.Execution.Seconds(),
		CostUSD: result.CostUSD, Preview: result.Endpoint.Preview,
	}
	if n := len(result.Job.Renders); n > 1 {
		s.Renders = n
	}
	return s
}

// metadataKeys are the texts that ComfyUI or comfyc can read back.
var metadataKeys = []string{"prompt", "workflow", stampKey}

// keysOf lists which of the known keys a picture carries, sorted.
func keysOf(texts []post.Text) (keys []string) {
	for _, t := range texts {
		if slices.Contains(metadataKeys, t.Key) {
			keys = append(keys, t.Key)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// texts is what a picture shall carry instead of what it came with, and whether that differs.
func (c *Collector) texts(old []post.Text, result *scheduler.Result, at place) (texts []post.Text, secrets int, changed bool) {
	var ours []post.Text
	if c.Provenance != nil {
		p := c.Provenance(at.owed.Render)
		if p.Workflow != nil {
			ours = append(ours, post.Text{Key: "workflow", Value: string(p.Workflow)})
		}
		if p.Prompt != nil {
			ours = append(ours, post.Text{Key: "prompt", Value: string(p.Prompt)})
		}
		stamp, err := json.Marshal(p.stamp(result, at))
		if err == nil { // a time that is no number has no JSON
			ours = append(ours, post.Text{Key: stampKey, Value: string(stamp)})
		}
	}
	scrub := newScrubber(c.Secrets)
	// Texts of other programs stay, before ours.
	for _, t := range old {
		if !slices.ContainsFunc(ours, func(o post.Text) bool { return o.Key == t.Key }) {
			texts = append(texts, t)
		}
	}
	texts = append(texts, ours...)
	for i, t := range texts {
		clean, n := scrub.clean(t.Value)
		texts[i].Value, secrets = clean, secrets+n
	}
	return texts, secrets, len(ours) > 0 || secrets > 0
}

// embed writes the received picture anew with what it shall carry. A file whose structure does not allow that stays as it came, with a
// note. An error is of this machine.
func (c *Collector) embed(got *received, result *scheduler.Result, at place) error {
	texts, secrets, changed := c.texts(got.meta.Text, result, at)
	if !changed || !slices.Contains(taggedTypes, got.typ.MIME) {
		return nil
	}
	m := got.meta
	m.Text = texts
	f, err := os.CreateTemp(filepath.Dir(got.file.Name()), "output-*")
	if err != nil {
		return err
	}
	hash := sha256.New()
	size := &counter{w: hash}
	left, err := post.Rewrite(io.MultiWriter(f, size), got.file, got.typ.MIME, m)
	if err != nil {
		f.Close()
		os.Remove(f.Name())
		if disk := diskTrouble(err); disk != nil {
			return disk
		}
		got.note = note(got.note, "its metadata could not be written: "+clip(err.Error(), 200))
		return nil
	}
	got.drop()
	got.file, got.size, got.sha256, got.meta = f, size.n, hex.EncodeToString(hash.Sum(nil)), m
	for _, key := range left {
		got.note = note(got.note, "too long for the metadata of a JPEG (64 KB): "+key)
	}
	if secrets > 0 {
		got.note = note(got.note, fmt.Sprintf("secrets taken out of its metadata: %d", secrets))
	}
	return nil
}

// taggedTypes are those that texts can be put into.
var taggedTypes = []string{"image/png", "image/jpeg", "image/webp"}
