package bench

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/png"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render"
	"github.com/comfyc/comfyc/render/post"
	"github.com/comfyc/comfyc/scheduler"
)

// Collecting is what stands between a picture that was paid for and its loss: it is measured with its syncs.
var collectCases = []Case{
	{Name: "Collect1024", What: "one PNG of 1024² made safe (base64, hash, check, sync, thumbnail), against decoding it, shrinking it and encoding the thumbnail; in turn",
		Run: collect, Goals: []Goal{{Unit: "over-bare", Most: 1.35, Meaning: "at most 1.35 times the bare work"}}},
	{Name: "CollectMany", What: "24 PNGs of 1024² made safe by two goroutines, with a manifest, against Pillow doing the same in two processes; in turn", Skip: noPillow,
		Run: collectMany, Goals: []Goal{{Unit: "of-pillow", Least: 0.7, Meaning: "at least 0.7 times as fast as Pillow"}}},
	{Name: "CollectBase64", What: "a 3 MB file in base64 from the answer's body to the disk",
		Run: collectBase64, Goals: []Goal{{Unit: "copies", Most: 3.1, Meaning: "at most 3 copies of the text are allocated"}}},
	{Name: "CollectVideo", What: "a video of 100 MB from a URL to the disk",
		Run: collectVideo, Goals: []Goal{{Unit: "MB-allocated", Most: 2, Meaning: "memory does not grow with the file"}}},
}

// picture makes a PNG of a smooth scene with a little noise, as photographs have: about 2 MB.
func picture(side int) ([]byte, error) {
	img := image.NewNRGBA(image.Rect(0, 0, side, side))
	r := rand.New(rand.NewPCG(1, 2)) // fixed seeds: the same bytes on every machine
	for y := range side {
		for x := range side {
			i := img.PixOffset(x, y)
			for c := range 3 {
				img.Pix[i+c] = byte((x*(c+1)+y*(3-c))*60/side) + byte(r.IntN(6)) // a gradient for each colour, with noise of up to 5 of 255
			}
			img.Pix[i+3] = 255
		}
	}
	var data bytes.Buffer
	err := png.Encode(&data, img)
	return data.Bytes(), err
}

// collect measures the two sides in turn, so that a machine that slows down slows both. The bare side leaves out base64, hash and
// syncs: what is above 1 is the price of safety.
func collect(e *Env, b *testing.B) error {
	data, err := picture(1024)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(e.Temp, "collect")
	if err != nil {
		return err
	}
	text := base64.StdEncoding.EncodeToString(data)
	// One name for each render, so no two files collide.
	col := &render.Collector{Dir: dir, Name: func(r int, f render.FileInfo) (string, error) { return fmt.Sprint(r), nil }}
	var whole, bare []time.Duration
	for i := 0; b.Loop(); i++ {
		start := time.Now()
		got, err := col.Collect(b.Context(), scheduler.Result{
			Job:     &compiler.Job{Renders: []int{i}, Owed: []compiler.Owed{{Render: i, Node: "9", Class: "SaveImage", Prefix: "p", Images: 1}}},
			Outputs: []scheduler.Output{{Filename: "p_1.png", Base64: text}}})
		if err != nil || len(got.Done) != 1 {
			return fmt.Errorf("%+v, %w", got, err)
		}
		whole = append(whole, time.Since(start))
		start = time.Now()
		if err := shrink(data); err != nil {
			return err
		}
		bare = append(bare, time.Since(start))
	}
	b.ReportMetric(millis(middle(whole)), "ms")
	b.ReportMetric(millis(middle(bare)), "bare-ms")
	b.ReportMetric(float64(middle(whole))/float64(middle(bare)), "over-bare")
	b.ReportMetric(float64(len(data))/1e6, "MB")
	b.ReportMetric(0, "ns/op") // replaced: the time of both sides together would mean nothing
	return nil
}

// shrink is the work that a thumbnail takes, and nothing else.
func shrink(data []byte) error {
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return err
	}
	p, err := post.Run(img, []post.Step{
		// As the thumbnails are made: fitted, linear, JPEG.
		post.Resize{Width: render.ThumbSide, Height: render.ThumbSide, Mode: "fit", Filter: "linear"},
		post.Format{Type: "jpeg", Quality: render.ThumbQuality}})
	if err != nil {
		return err
	}
	return p.Encode(io.Discard)
}
