package render

import (
	"bytes"
	"image/png"
	"math/rand/v2"
	"testing"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
)

// BenchmarkCollect makes 1024² PNG pictures of 2 MB safe: base64, hash, check, sync,
// thumbnail, from as many goroutines as there are processors.
func BenchmarkCollect(b *testing.B) {
	img := landscape(1024, 1024, 30, 3, 4)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range img.Pix {
		if i%4 != 3 {
			img.Pix[i] += byte(r.IntN(6))
		}
	}
	var data bytes.Buffer
	if err := png.Encode(&data, img); err != nil {
		b.Fatal(err)
	}
	text := b64(data.Bytes())
	col := &Collector{Dir: b.TempDir(), Name: numbered}
	b.SetBytes(int64(data.Len()))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			got, err := col.Collect(b.Context(), scheduler.Result{Job: &compiler.Job{Renders: []int{0}, Owed: []compiler.Owed{owed(0, "9", "p")}},
				Outputs: []scheduler.Output{{Filename: "p_1.png", Base64: text}}})
			if err != nil || len(got.Done) != 1 {
				b.Errorf("%+v, %v", got, err)
				return
			}
		}
	})
}
