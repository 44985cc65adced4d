package worker

import (
	"context"
	"fmt"
	"testing"
)

// BenchmarkDrawn runs a text-to-image prompt to its file, at three sizes.
func BenchmarkDrawn(b *testing.B) {
	for _, side := range []int{512, 768, 1024} {
		prompt := []byte(sampling(`"width":256,"height":192`, fmt.Sprintf(`"width":%d,"height":%d`, side, side), "a red fox", "a red fox in the snow"))
		b.Run(fmt.Sprint(side), func(b *testing.B) {
			for b.Loop() {
				if r, err := Run(context.Background(), prompt, Options{}); err != nil || len(r.Files) != 1 {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkResize scales a picture of 1024 × 1024 down and up.
func BenchmarkResize(b *testing.B) {
	t := newTensor(1, 1024, 1024, 3)
	uniform(t.pix, newTwister(1))
	for _, method := range []string{"lanczos", "bicubic", "bilinear", "area"} {
		for _, side := range []int{512, 2048} {
			b.Run(fmt.Sprintf("%s-%d", method, side), func(b *testing.B) {
				for b.Loop() {
					if _, err := resize(t, side, side, method); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkQuantize reduces a picture of 512 × 512 to 64 colours.
func BenchmarkQuantize(b *testing.B) {
	t := newTensor(1, 512, 512, 3)
	paint(t.pix, 512, 512, pass{seed: 3, steps: 20, pos: &cond{text: "forest"}, neg: &cond{}}, 0, 0)
	pix := bytesOf(t.pix)
	for b.Loop() {
		newPalette(medianCut(pix, 64))
	}
}
