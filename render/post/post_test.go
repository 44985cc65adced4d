package post

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"
)

// quarters is a picture with a colour in each quarter.
func quarters(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.NRGBA{200, 0, 0, 255}
			if x >= w/2 {
				c.G = 100
			}
			if y >= h/2 {
				c.B = 250
			}
			img.SetNRGBA(x, y, c)
		}
	}
	return img
}

func TestSteps(t *testing.T) {
	for _, c := range []struct {
		steps string
		w, h  int
		at    image.Point
		want  color.NRGBA
	}{
		{`[]`, 40, 20, image.Pt(0, 0), color.NRGBA{200, 0, 0, 255}},
		{`null`, 40, 20, image.Pt(39, 19), color.NRGBA{200, 100, 250, 255}},
		{`[{"resize": {"width": 20}}]`, 20, 10, image.Pt(19, 9), color.NRGBA{200, 100, 250, 255}},
		{`[{"resize": {"height": 40, "filter": "nearest"}}]`, 80, 40, image.Pt(39, 19), color.NRGBA{200, 0, 0, 255}},
		{`[{"resize": {"width": 10, "height": 10, "filter": "box"}}]`, 10, 5, image.Pt(0, 4), color.NRGBA{200, 0, 250, 255}},
		{`[{"resize": {"width": 100, "height": 100, "mode": "fit"}}]`, 40, 20, image.Pt(0, 0), color.NRGBA{200, 0, 0, 255}},
		{`[{"resize": {"width": 10, "height": 10, "mode": "fill", "filter": "box"}}]`, 10, 10, image.Pt(0, 0), color.NRGBA{200, 0, 0, 255}},
		{`[{"resize": {"width": 7, "height": 30, "mode": "exact", "filter": "nearest"}}]`, 7, 30, image.Pt(6, 29), color.NRGBA{200, 100, 250, 255}},
		{`[{"crop": {"x": 20, "width": 10, "height": 5}}]`, 10, 5, image.Pt(0, 0), color.NRGBA{200, 100, 0, 255}},
		{`[{"crop": {"anchor": "bottom", "width": 2, "height": 2}}]`, 2, 2, image.Pt(0, 0), color.NRGBA{200, 0, 250, 255}},
		{`[{"crop": {"x": 30, "width": 100, "height": 100}}]`, 10, 20, image.Pt(9, 0), color.NRGBA{200, 100, 0, 255}},
		{`["grayscale"]`, 40, 20, image.Pt(0, 0), color.NRGBA{60, 60, 60, 255}},
		{`[{"grayscale": {}}, {"resize": {"width": 4, "filter": "box"}}]`, 4, 2, image.Pt(3, 1), color.NRGBA{147, 147, 147, 255}},
	} {
		steps, err := Parse([]byte(c.steps))
		if err != nil {
			t.Errorf("%s: %v", c.steps, err)
			continue
		}
		p, err := Run(quarters(40, 20), steps)
		if err != nil {
			t.Errorf("%s: %v", c.steps, err)
			continue
		}
		if got := p.Pix.Rect.Size(); got != image.Pt(c.w, c.h) {
			t.Errorf("%s: size %v, want %d×%d", c.steps, got, c.w, c.h)
		}
		if got := p.Pix.NRGBAAt(c.at.X, c.at.Y); got != c.want {
			t.Errorf("%s: pixel %v is %v, want %v", c.steps, c.at, got, c.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for steps, want := range map[string]string{
		`{}`:                                 "cannot unmarshal object",
		`[{}]`:                               "step 1: a step is one name",
		`[{"resize":{"width":1},"crop":{}}]`: "step 1: a step is one name",
		`["grayscale", "sepia"]`:             `step 2: there is no step "sepia", only resize, crop, pad, rotate, flip, adjust`,
		`[{"resize": {}}]`:                   "resize: width, height or percent is needed",
		`[{"resize": {"width": -1}}]`:        "between 1 and 32768",
		`[{"resize": {"width": 99999}}]`:     "between 1 and 32768",
		`[{"resize": {"wide": 10}}]`:         `unknown field "wide"`,
		`[{"resize": {"width": 10, "mode": "fill"}}]`:                    "mode fill needs width and height",
		`[{"resize": {"width": 10, "mode": "zoom"}}]`:                    `no mode "zoom"`,
		`[{"resize": {"width": 10, "filter": "soft"}}]`:                  `no filter "soft"`,
		`[{"crop": {"width": 10}}]`:                                      "width and height must be",
		`[{"crop": {"width": 1, "height": 1, "x": 1, "anchor": "top"}}]`: "with an anchor",
		`[{"format": {"type": "avif"}}]`:                                 `no type "avif"`,
		`[{"format": {"type": "png", "quality": 9}}]`:                    "quality is for type jpeg",
		`[{"format": {"type": "jpeg", "quality": 101}}]`:                 "between 1 and 100",
		`[] []`: "text after the value",
		`[` + strings.Repeat(`"grayscale",`, MaxSteps) + `"grayscale"]`: "at most 64",
	} {
		if _, err := Parse([]byte(steps)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: error %v, want %q", steps, err, want)
		}
	}
}

func TestFormats(t *testing.T) {
	img := quarters(32, 16)
	img.SetNRGBA(0, 0, color.NRGBA{10, 20, 30, 0})
	var png1, jpeg1 bytes.Buffer
	for _, c := range []struct {
		steps, ext, mime string
		out              *bytes.Buffer
	}{
		{`[]`, ".png", "image/png", &png1},
		{`[{"format": {"type": "jpeg", "quality": 95}}]`, ".jpg", "image/jpeg", &jpeg1},
	} {
		steps, err := Parse([]byte(c.steps))
		if err != nil {
			t.Fatal(err)
		}
		p, err := Run(img, steps)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Encode(c.out); err != nil {
			t.Fatal(err)
		}
		if p.Format.Ext() != c.ext || p.Format.MIME() != c.mime {
			t.Errorf("%s: %s %s", c.steps, p.Format.Ext(), p.Format.MIME())
		}
	}
	back, err := png.Decode(&png1)
	if err != nil {
		t.Fatal(err)
	}
	if got := color.NRGBAModel.Convert(back.At(0, 0)); got != (color.NRGBA{10, 20, 30, 0}) {
		t.Errorf("a clear pixel came back as %v", got)
	}
	back, err = jpeg.Decode(&jpeg1)
	if err != nil {
		t.Fatal(err)
	}
	if r, g, b, _ := back.At(0, 0).RGBA(); r < 0x8000 || g < 0x6000 || b < 0x6000 {
		t.Errorf("a clear pixel is not on white: %x %x %x", r, g, b)
	}
}

// TestConvert compares every fast path with the standard library's conversion.
func TestConvert(t *testing.T) {
	rect := image.Rect(3, 5, 19, 12)
	pal := image.NewPaletted(rect, color.Palette{color.Black, color.NRGBA{200, 10, 30, 128}})
	pal.SetColorIndex(5, 6, 1)
	n64, n, rgba, ycc := image.NewNRGBA64(rect), image.NewNRGBA(image.Rect(0, 0, 40, 40)), image.NewRGBA(rect), image.NewYCbCr(rect, image.YCbCrSubsampleRatio420)
	for i := range n64.Pix {
		n64.Pix[i] = byte(i * 7)
	}
	for i := range n.Pix {
		n.Pix[i] = byte(i * 5)
	}
	for y := rect.Min.Y; y < rect.Max.Y; y++ {
		for x := rect.Min.X; x < rect.Max.X; x++ {
			rgba.Set(x, y, color.NRGBA{byte(x * 9), byte(y * 11), 77, byte(x*10 + 40)})
		}
	}
	for i := range ycc.Y {
		ycc.Y[i] = byte(i * 3)
	}
	for name, img := range map[string]image.Image{"paletted": pal, "nrgba64": n64, "nrgba": n.SubImage(rect), "rgba": rgba, "ycbcr": ycc, "cmyk": image.NewCMYK(rect), "gray16": image.NewGray16(rect)} {
		got, err := Convert(img)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.Rect != image.Rect(0, 0, rect.Dx(), rect.Dy()) {
			t.Errorf("%s: bounds %v", name, got.Rect)
		}
		for y := range rect.Dy() {
			for x := range rect.Dx() {
				want := color.NRGBAModel.Convert(img.At(x+rect.Min.X, y+rect.Min.Y)).(color.NRGBA)
				if name == "nrgba64" { // the model's detour over premultiplied colours is the worse one
					i := n64.PixOffset(x+rect.Min.X, y+rect.Min.Y)
					want = color.NRGBA{n64.Pix[i], n64.Pix[i+2], n64.Pix[i+4], n64.Pix[i+6]}
				}
				if c := got.NRGBAAt(x, y); far(c, want) {
					t.Fatalf("%s: pixel %d,%d is %v, want %v", name, x, y, c, want)
				}
			}
		}
	}
}

// far reports a difference beyond rounding.
func far(a, b color.NRGBA) bool {
	d := func(x, y uint8) bool { return max(x, y)-min(x, y) > 1 }
	return a.A != b.A || a.A > 0 && (d(a.R, b.R) || d(a.G, b.G) || d(a.B, b.B))
}

// TestHostile runs pictures that would end the process inside imaging's goroutines.
func TestHostile(t *testing.T) {
	bad := image.NewPaletted(image.Rect(0, 0, 300, 300), color.Palette{color.Black})
	for i := range bad.Pix {
		bad.Pix[i] = 9
	}
	steps, err := Parse([]byte(`[{"resize": {"width": 30}}]`))
	if err != nil {
		t.Fatal(err)
	}
	for name, img := range map[string]image.Image{
		"palette": bad, "nil": nil, "empty": image.NewNRGBA(image.Rectangle{}),
		"bomb":  image.NewUniform(color.White), // its bounds are 2e9 by 2e9
		"short": &image.RGBA{Pix: make([]byte, 8), Stride: 400, Rect: image.Rect(0, 0, 100, 100)},
	} {
		if p, err := Run(img, steps); err == nil {
			t.Errorf("%s: no error, %v", name, p.Pix.Rect)
		}
	}
	thin := image.NewNRGBA(image.Rect(0, 0, 1, 30000))
	if _, err := Run(thin, []Step{Resize{Width: 30000, Height: 10, Mode: "fill"}}); err == nil {
		t.Error("a fill through a picture of 900 million pixels was not refused")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`[{"resize": {"width": 1024, "filter": "lanczos"}}, {"format": {"type": "jpeg", "quality": 90}}]`)
	f.Add(`["grayscale", {"crop": {"width": 3, "height": 3, "anchor": "left"}}]`)
	f.Fuzz(func(t *testing.T, text string) {
		steps, err := Parse([]byte(text))
		if err != nil {
			return
		}
		for _, s := range steps {
			if s.Check() != nil {
				t.Fatalf("%q: accepted a step that its own Check refuses", text)
			}
		}
	})
}
