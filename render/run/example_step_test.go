package run_test

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"log"
	"os"
	"path/filepath"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render/post"
	"github.com/comfyc/comfyc/render/run"
)

// frame is a step of a program's own: it puts a black frame around a picture.
type frame struct{ Pixels int }

func (f frame) Name() string { return "frame" }

func (f frame) Check() error {
	if f.Pixels < 1 || f.Pixels > 256 {
		return errors.New("a frame is 1 to 256 pixels wide")
	}
	return nil
}

// Apply replaces the pixels; it never writes into those that it was given.
func (f frame) Apply(p *post.Picture) error {
	size := p.Pix.Bounds().Size()
	out := image.NewNRGBA(image.Rect(0, 0, size.X+2*f.Pixels, size.Y+2*f.Pixels))
	for y := range out.Bounds().Dy() {
		for x := range out.Bounds().Dx() {
			if at := image.Pt(x-f.Pixels, y-f.Pixels); at.In(p.Pix.Bounds()) {
				out.SetNRGBA(x, y, p.Pix.NRGBAAt(at.X, at.Y))
			} else {
				out.SetNRGBA(x, y, color.NRGBA{A: 255})
			}
		}
	}
	p.Pix = out
	return nil
}

// Steps of your own follow those of output.post.
func Example_step() {
	ctx, dir := context.Background(), workFolder()
	defer os.RemoveAll(dir)
	plan, findings := compiler.NewBatch("flow.json").Compile(ctx, compiler.Source{Dir: dir})
	if plan == nil {
		log.Fatal(findings)
	}
	batch, err := run.Open(plan, run.Options{Dir: filepath.Join(dir, "out"), Post: []post.Step{post.Resize{Width: 40}, frame{4}}})
	if err != nil {
		log.Fatal(err)
	}
	defer batch.Close()
	for result, err := range batch.Results(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(result.Files[0].Width, "×", result.Files[0].Height, "from", filepath.Dir(result.Files[0].Original))
	}
	_, err = run.Open(plan, run.Options{Dir: filepath.Join(dir, "wrong"), Post: []post.Step{frame{-1}}})
	fmt.Println(err)
	// Output:
	// 48 × 48 from originals
	// step 1 of Options.Post (frame): a frame is 1 to 256 pixels wide
}
