package post_test

import (
	"fmt"
	"image"

	"github.com/comfyc/comfyc/render/post"
)

// Steps as output.post declares them, applied to one picture.
func ExampleRun() {
	steps, err := post.Parse([]byte(`[{"resize": {"width": 32}}, {"crop": {"aspect": "1:1"}}, "grayscale", {"format": {"type": "jpeg", "quality": 80}}]`))
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := post.Run(image.NewNRGBA(image.Rect(0, 0, 64, 32)), steps)
	fmt.Println(p.Pix.Bounds().Size(), p.Format.MIME(), err)
	// Output:
	// (16,16) image/jpeg <nil>
}

// Steps are plain structs, too.
func ExampleResize() {
	p, err := post.Run(image.NewNRGBA(image.Rect(0, 0, 64, 32)), []post.Step{post.Resize{Width: 16}, post.Flip{Direction: "horizontal"}})
	fmt.Println(p.Pix.Bounds().Size(), err)
	// Output:
	// (16,8) <nil>
}
