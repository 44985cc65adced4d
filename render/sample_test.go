package render

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// landscape draws a picture that differs visibly with each argument: a sky and a sun
// over hills.
func landscape(w, h, hue, rough, seed int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	sun := 0.05 + float64(seed%5)*0.03
	sx, sy := 0.2+float64(seed*37%60)/100, 0.25+float64(seed*17%25)/100
	for y := range h {
		v := float64(y) / float64(h)
		for x := range w {
			u := float64(x) / float64(w)
			c := hsv(float64(hue)+40*v, 0.65-0.4*v, 0.35+0.6*v)
			if d := math.Hypot(u-sx, v-sy); d < sun {
				c = hsv(45, 0.25, 1)
			}
			for layer := range 4 {
				l := float64(layer)
				ridge := 0.5 + 0.12*l + 0.07*math.Sin(u*(3+l)*2+float64(seed)+l*2) + float64(rough)*0.012*math.Sin(u*(23+7*l)+float64(seed*3))
				if v > ridge {
					c = hsv(float64(hue+170)+12*l, 0.5, 0.55-0.12*l)
				}
			}
			img.SetNRGBA(x, y, c)
		}
	}
	return img
}

func hsv(h, s, v float64) color.NRGBA {
	f := func(n float64) uint8 {
		k := math.Mod(n+h/60, 6)
		return uint8(255 * (v - v*s*max(0, min(k, 4-k, 1))))
	}
	return color.NRGBA{f(5), f(3), f(1), 255}
}

// savePicture writes img and its thumbnail below dir and describes them.
func savePicture(t testing.TB, dir, name string, img image.Image) File {
	t.Helper()
	f := File{Path: "images/" + name + ".png", Thumb: "thumbs/" + name + ".jpg", Node: "9", Title: "Save Image", Type: "image/png", Kind: KindImage,
		Width: img.Bounds().Dx(), Height: img.Bounds().Dy(), Metadata: []string{"prompt", "workflow"}}
	path := filepath.Join(dir, filepath.FromSlash(f.Path))
	if err := writeFile(path, func(w io.Writer) error { return png.Encode(w, img) }); err != nil {
		t.Fatal(err)
	}
	if err := WriteThumb(filepath.Join(dir, filepath.FromSlash(f.Thumb)), img); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	f.Bytes, f.SHA256 = int64(len(data)), hex.EncodeToString(sum[:])
	return f
}

// sampleManifest is a batch of 3 prompts × 3 cfg × 3 samplers × 2 seeds of which three
// renders failed, are held, and wait. Its pictures lie below dir.
func sampleManifest(t testing.TB, dir string) *Manifest {
	t.Helper()
	prompts := []string{
		"a red fox crossing a frozen river at dawn, soft light, 35mm photograph",
		"a blue fox in tall grass under heavy summer clouds, watercolour",
		"an arctic fox curled up in fresh snow, long exposure, night sky full of stars",
	}
	short := []string{"red fox at dawn", "blue fox, watercolour", "arctic fox at night"}
	cfgs, samplers, seeds := []string{"1", "3.5", "5"}, []string{"euler", "dpmpp_2m", "heun"}, []string{"42", "18446744073709551615"}
	m := &Manifest{
		Version: 1, Name: "fox-sweep", Created: "2026-03-01T09:00:00Z", Updated: "2026-03-01T09:14:00Z", Plan: "5f1d2c",
		Gallery: Layout{Title: "Foxes", Rows: "cfg", Cols: "sampler", Pages: "prompt"},
		Axes: []Axis{
			{Name: "prompt", Addresses: []string{"41.clip_l"}, Values: values(short, prompts), Role: "prompt"},
			{Name: "cfg", Addresses: []string{"3.cfg"}, Values: values(cfgs, cfgs)},
			{Name: "sampler", Addresses: []string{"3.sampler_name"}, Values: values(samplers, samplers)},
			{Name: "seed", Addresses: []string{"3.seed"}, Values: values(seeds, seeds), Role: "seed"},
		},
	}
	for p := range prompts {
		for k := range cfgs {
			for s := range samplers {
				for e := range seeds {
					i := len(m.Cells)
					cost := 0.0045 + 0.0003*float64(k)
					c := Cell{ID: fmt.Sprintf("%016x", i+1), Index: i, Render: fmt.Sprintf("%064x", i+77), State: StateDone,
						Coordinates: map[string]string{"prompt": short[p], "cfg": cfgs[k], "sampler": samplers[s], "seed": seeds[e]},
						Prompt:      prompts[p], Negative: "blurry, text, watermark", Seed: seeds[e],
						Params:   []Param{{"steps", "20"}, {"cfg", cfgs[k]}, {"sampler", samplers[s]}, {"scheduler", "simple"}, {"model", "flux1-dev.safetensors"}},
						Endpoint: "novita-4090", GPU: "rtx4090", Worker: "wk-7f3a", Seconds: 14.2 + float64(i%7)*0.4, CostUSD: &cost, Attempts: 1}
					switch i {
					case 3:
						c.State, c.Error, c.Attempts = StateFailed, "out of memory on novita-4090: the VAE needs a larger GPU (3 attempts)", 3
					case 10:
						c.State, c.Error = StateHeld, "the answer to its submission was lost; it may be running and paid for"
					case 17:
						c.State, c.Seconds, c.CostUSD, c.Endpoint, c.GPU, c.Worker, c.Attempts = StateWaiting, 0, nil, "", "", "", 0
					default:
						c.Files = []File{savePicture(t, dir, fmt.Sprintf("%s/%04d", short[p], i), landscape(512, 512, 20+100*p+12*s, k*3, i))}
					}
					m.Cells = append(m.Cells, c)
				}
			}
		}
	}
	m.Tally()
	return m
}

// values pairs labels with the values behind them.
func values(labels, texts []string) []AxisValue {
	var out []AxisValue
	for i, l := range labels {
		v := AxisValue{Label: l}
		if texts[i] != l {
			v.Value = texts[i]
		}
		out = append(out, v)
	}
	return out
}
