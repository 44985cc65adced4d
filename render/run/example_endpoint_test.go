package run_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"log"
	"os"
	"path/filepath"
	"sync"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render/run"
	"github.com/comfyc/comfyc/scheduler"
)

// easel is an endpoint of a program's own: five methods. It paints one colour and needs no network. What is paid for, what may be repeated and
// who calls it is written on each method of [scheduler.Endpoint].
type easel struct {
	mu   sync.Mutex
	jobs []*compiler.Job
}

func (p *easel) Properties() scheduler.Properties {
	price := 0.001
	return scheduler.Properties{Name: "easel", Type: "own", GPU: "brush", Price: &price, Limits: compiler.Limits{
		InFlight: 4, SubmitPer10s: 1000, StatusPer10s: 1000, JobBytes: 1 << 20, OutputBytes: 1 << 20, Retention: 1 << 40}}
}

// Submit keeps the job. An error of the kind Uncertain would say that it may have been kept all the same.
func (p *easel) Submit(_ context.Context, job *compiler.Job, _ scheduler.Terms) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.jobs = append(p.jobs, job)
	return fmt.Sprint(len(p.jobs) - 1), nil
}

// Poll paints what the job owes: a file for each output, named by the prefix that was sent.
func (p *easel) Poll(_ context.Context, remote string) (scheduler.Status, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var n int
	if _, err := fmt.Sscan(remote, &n); err != nil || n >= len(p.jobs) {
		return scheduler.Status{State: scheduler.Gone}, nil
	}
	status := scheduler.Status{State: scheduler.Completed}
	for _, owed := range p.jobs[n].Owed {
		status.Outputs = append(status.Outputs, scheduler.Output{Filename: owed.Prefix + "_00001_.png", Node: owed.Node, Base64: draw(p.jobs[n].Prompt)})
	}
	return status, nil
}

func (p *easel) Cancel(context.Context, string) error { return nil }

// Fetch is asked for outputs that are given by address; these are not.
func (p *easel) Fetch(context.Context, scheduler.Output) (io.ReadCloser, error) {
	return nil, &scheduler.Error{Kind: scheduler.Rejected, Message: "there is nothing to fetch"}
}

// draw reads the prompt, which is ComfyUI's API form.
func draw(prompt []byte) string {
	var nodes map[string]struct {
		Class  string `json:"class_type"`
		Inputs struct{ Width, Height, Color int }
	}
	if err := json.Unmarshal(prompt, &nodes); err != nil {
		log.Fatal(err)
	}
	img := image.NewNRGBA(image.Rect(0, 0, 1, 1))
	for _, n := range nodes {
		if n.Class == "EmptyImage" {
			img = image.NewNRGBA(image.Rect(0, 0, n.Inputs.Width, n.Inputs.Height))
			c := n.Inputs.Color
			for i := range n.Inputs.Width * n.Inputs.Height {
				img.SetNRGBA(i%n.Inputs.Width, i/n.Inputs.Width, color.NRGBA{uint8(c >> 16), uint8(c >> 8), uint8(c), 255})
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		log.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// An endpoint of your own takes the place of the batch's.
func Example_endpoint() {
	ctx, dir := context.Background(), workFolder()
	defer os.RemoveAll(dir)
	plan, findings := compiler.NewBatch("flow.json").Axis("color", compiler.Values(255, 65280, 16711680)).Compile(ctx, compiler.Source{Dir: dir})
	if plan == nil {
		log.Fatal(findings)
	}
	batch, err := run.Open(plan, run.Options{Dir: filepath.Join(dir, "out"), Endpoints: []scheduler.Endpoint{&easel{}}})
	if err != nil {
		log.Fatal(err)
	}
	defer batch.Close()
	for result, err := range batch.Results(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(result.Render, result.State, "at", result.Event.Endpoint, result.Files[0].Type)
	}
	// Unordered output:
	// 0 done at easel image/png
	// 1 done at easel image/png
	// 2 done at easel image/png
}
