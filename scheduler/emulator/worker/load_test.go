package worker

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	plan9 "image/color/palette"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"slices"
	"strings"
	"testing"
)

// pngOf encodes with image/png.
func pngOf(t *testing.T, img image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// describe names the size and the first pixel of the first picture.
func describe(l *loaded) string {
	s := fmt.Sprintf("%d of %d×%d %.4f", l.colour.n, l.colour.w, l.colour.h, l.colour.pix[:3])
	if l.alpha != nil {
		s += fmt.Sprintf(" alpha %.4f", l.alpha.pix[0])
	}
	return s
}

// TestPixelFormats checks which formats come as v/255 and which through 16 bits.
func TestPixelFormats(t *testing.T) {
	r := image.Rect(0, 0, 2, 1)
	grey, deep := image.NewGray(r), image.NewRGBA64(r)
	grey.Pix[0] = 255
	deep.SetRGBA64(0, 0, color.RGBA64{1000, 30000, 65535, 65535})
	deep.SetRGBA64(1, 0, color.RGBA64{0, 0, 0, 65535})
	rgba, opaque := image.NewNRGBA(r), image.NewRGBA(r)
	rgba.Pix = []uint8{255, 51, 0, 51, 0, 0, 0, 255}
	opaque.Pix = []uint8{255, 51, 0, 255, 0, 0, 0, 255}
	paletted := image.NewPaletted(r, color.Palette{color.NRGBA{255, 51, 0, 255}, color.NRGBA{0, 0, 0, 0}})
	tests := []struct {
		name string
		img  image.Image
		want string
	}{
		{"grey", grey, "1 of 2×1 [0.9961 0.9961 0.9961]"},
		{"16 bits", deep, "1 of 2×1 [0.0153 0.4578 1.0000]"},
		{"RGB", opaque, "1 of 2×1 [1.0000 0.2000 0.0000]"},
		{"RGBA", rgba, "1 of 2×1 [1.0000 0.2000 0.0000] alpha 0.2000"},
		{"palette", paletted, "1 of 2×1 [1.0000 0.2000 0.0000] alpha 1.0000"},
	}
	for _, tt := range tests {
		l, err := decodeFile(pngOf(t, tt.img), 100)
		if err != nil {
			t.Fatal(err)
		}
		if got := describe(l); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestMaskOfFile(t *testing.T) {
	l := &loaded{colour: newTensor(2, 3, 4, 3)}
	if m := l.mask(); m.shape() != "2 × 64 × 64 × 1" || m.pix[0] != 0 {
		t.Errorf("without alpha: %s", m.shape())
	}
	l.alpha = filled(2, 3, 4, 1, 0.25)
	if m := l.mask(); m.shape() != "2 × 4 × 3 × 1" || m.pix[0] != 0.75 {
		t.Errorf("with alpha: %s %v", m.shape(), m.pix[0])
	}
}

// TestOrientation turns by quarters and forgets the mirroring.
func TestOrientation(t *testing.T) {
	img := image.NewGray(image.Rect(0, 0, 16, 8))
	for x := range 8 {
		for y := range 8 {
			img.SetGray(x, y, color.Gray{255}) // the left half
		}
	}
	var plainJPEG bytes.Buffer
	if err := jpeg.Encode(&plainJPEG, img, nil); err != nil {
		t.Fatal(err)
	}
	for o, want := range map[byte]string{1: "16×8 left", 2: "16×8 right", 3: "16×8 right", 4: "16×8 left", 5: "8×16 top", 6: "8×16 top", 7: "8×16 bottom", 8: "8×16 bottom"} {
		tiff := []byte{'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, o, 0, 0}
		app1 := append([]byte{0xff, 0xe1, 0, byte(2 + 6 + len(tiff)), 'E', 'x', 'i', 'f', 0, 0}, tiff...)
		l, err := decodeFile(append(append([]byte{0xff, 0xd8}, app1...), plainJPEG.Bytes()[2:]...), 1000)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%d×%d %s", l.colour.w, l.colour.h, brightSide(l.colour)); got != want {
			t.Errorf("orientation %d: %s, want %s", o, got, want)
		}
	}
}

// brightSide names the lighter half.
func brightSide(t *tensor) string {
	at := func(x, y int) float32 { return t.row(0, y)[x*3] }
	switch {
	case t.w > t.h && at(2, 4) > 0.5:
		return "left"
	case t.w > t.h:
		return "right"
	case at(4, 2) > 0.5:
		return "top"
	}
	return "bottom"
}

// TestAnimatedGIF lays a small second frame over the first.
func TestAnimatedGIF(t *testing.T) {
	first := image.NewPaletted(image.Rect(0, 0, 4, 4), plan9.Plan9)
	for i := range first.Pix {
		first.Pix[i] = uint8(first.Palette.Index(color.RGBA{255, 0, 0, 255}))
	}
	second := image.NewPaletted(image.Rect(2, 2, 4, 4), plan9.Plan9)
	for i := range second.Pix {
		second.Pix[i] = uint8(second.Palette.Index(color.RGBA{0, 0, 255, 255}))
	}
	var out bytes.Buffer
	if err := gif.EncodeAll(&out, &gif.GIF{Image: []*image.Paletted{first, second}, Delay: []int{1, 1}}); err != nil {
		t.Fatal(err)
	}
	if n := gifFrames(out.Bytes()); n != 2 {
		t.Errorf("%d frames counted", n)
	}
	l, err := decodeFile(out.Bytes(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	if l.colour.n != 2 || l.colour.row(1, 0)[0] < 0.99 || l.colour.row(1, 3)[11] < 0.99 || l.colour.row(0, 3)[11] > 0.01 {
		t.Errorf("frames: %s", l.colour.shape())
	}
	if _, err := decodeFile(out.Bytes(), 20); err == nil {
		t.Error("two frames of 16 pixels pass a limit of 20")
	}
}

// TestAnimatedPNG builds a file of two frames, the second one smaller and
// half clear.
func TestAnimatedPNG(t *testing.T) {
	rows := func(w, h int, c color.NRGBA) []byte {
		img := image.NewNRGBA(image.Rect(0, 0, w, h))
		for i := range w * h {
			copy(img.Pix[4*i:], []uint8{c.R, c.G, c.B, c.A})
		}
		img.Pix[3] = 254 // keeps the format RGBA
		data := pngOf(t, img)
		at := bytes.Index(data, []byte("IDAT"))
		return data[at+4 : at+4+int(binary.BigEndian.Uint32(data[at-4:]))]
	}
	control := func(n, w, h, x, y, dispose, blend byte) []byte {
		return []byte{0, 0, 0, n, 0, 0, 0, w, 0, 0, 0, h, 0, 0, 0, x, 0, 0, 0, y, 0, 1, 0, 1, dispose, blend}
	}
	var out bytes.Buffer
	out.WriteString("\x89PNG\r\n\x1a\n")
	chunk(&out, "IHDR", []byte{0, 0, 0, 4, 0, 0, 0, 4, 8, 6, 0, 0, 0})
	chunk(&out, "acTL", []byte{0, 0, 0, 2, 0, 0, 0, 0})
	chunk(&out, "fcTL", control(0, 4, 4, 0, 0, 0, 0))
	chunk(&out, "IDAT", rows(4, 4, color.NRGBA{255, 0, 0, 255}))
	chunk(&out, "fcTL", control(1, 2, 2, 2, 2, 0, 1))
	chunk(&out, "fdAT", append([]byte{0, 0, 0, 2}, rows(2, 2, color.NRGBA{0, 0, 255, 128})...))
	chunk(&out, "IEND", nil)
	l, err := decodeFile(out.Bytes(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	if l.colour.n != 2 || l.alpha == nil {
		t.Fatalf("frames: %s", l.colour.shape())
	}
	if p := l.colour.row(1, 3)[9:12]; p[0] < 0.49 || p[0] > 0.51 || p[2] < 0.49 || p[2] > 0.51 {
		t.Errorf("red under half of blue is %v", p)
	}
}

// TestAnimatedLikeStill decodes files of each pixel format, the second frame 8 × 8 in the corner of the first: the numbers are what
// LoadImage of ComfyUI 0.26 gives for the same files within 0.03, the still picture being equal to the first frame.
func TestAnimatedLikeStill(t *testing.T) {
	tests := []struct {
		name          string
		depth, kind   byte
		first, second string // one pixel
		extra         string // kind and body of a chunk before the pixels
		want          string // first frame, corner and rest of the second: red as of 255, and the mask
	}{
		{"grey", 8, 0, "\xc8", "\x64", "", "199.22 0.000, 99.61 0.000, 199.22 0.000, mask 64"},
		{"grey, one clear", 8, 0, "\xc8", "\x64", "tRNS\x00\xc8", "199.22 1.000, 99.61 0.004, 199.22 1.000, mask 16"},
		{"grey with alpha", 8, 4, "\xc8\x80", "\x64\xff", "", "199.22 0.500, 99.61 0.004, 199.22 0.500, mask 16"},
		{"grey of 16 bits", 16, 0, "\xc8\x12", "\x64\x34", "", "199.29 0.000, 99.81 0.000, 199.29 0.000, mask 64"},
		{"RGB", 8, 2, "\xc8\x64\x32", "\x01\x02\x03", "", "200.00 0.000, 1.00 0.000, 200.00 0.000, mask 64"},
		{"RGBA", 8, 6, "\xc8\x64\x32\x80", "\x01\x02\x03\xff", "", "200.00 0.498, 1.00 0.000, 200.00 0.498, mask 16"},
		{"RGB of 16 bits", 16, 2, "\xc8\x12\x64\x34\x32\x56", "\x01\x02\x03\x04\x05\x06", "", "199.29 0.000, 1.00 0.000, 199.29 0.000, mask 64"},
		{"RGBA of 16 bits", 16, 6, "\xc8\x12\x64\x34\x32\x56\x80\x77", "\x01\x02\x03\x04\x05\x06\xff\xff", "", "199.29 0.498, 1.00 0.000, 199.29 0.498, mask 16"},
		{"palette", 8, 3, "\x00", "\x01", "PLTE\xc8\x64\x32\x01\x02\x03", "200.00 0.000, 1.00 0.000, 200.00 0.000, mask 16"},
	}
	for _, tt := range tests {
		still, err := decodeFile(apng(tt.depth, tt.kind, tt.extra, tt.first), 10000)
		if err != nil {
			t.Fatal(err)
		}
		l, err := decodeFile(apng(tt.depth, tt.kind, tt.extra, tt.first, tt.second), 10000)
		if err != nil {
			t.Fatal(err)
		}
		m := l.mask()
		at := func(i, x, y int) string {
			return fmt.Sprintf("%.2f %.3f", 255*l.colour.row(i, y)[3*x], m.row(i, min(y, m.h-1))[min(x, m.w-1)])
		}
		if got := fmt.Sprintf("%s, %s, %s, mask %d", at(0, 0, 0), at(1, 0, 0), at(1, 15, 15), m.w); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if !slices.Equal(still.colour.pix, l.colour.one(0)) || still.mask().w != m.w {
			t.Errorf("%s: the first frame is not the still picture", tt.name)
		}
	}
}

// TestFrameOutside refuses a frame that claims more than the canvas, before room is made for it.
func TestFrameOutside(t *testing.T) {
	data := apng(8, 0, "", "\x01", "\x02")
	at := bytes.LastIndex(data, []byte("fcTL")) + 4
	binary.BigEndian.PutUint32(data[at+4:], 1<<20)
	binary.BigEndian.PutUint32(data[at+8:], 1<<20)
	if _, err := decodeFile(data, 10000); err == nil || !strings.Contains(err.Error(), "outside the picture") {
		t.Errorf("got %v", err)
	}
}

// apng writes a PNG of 16 × 16 pixels that are all equal; with further pixels, an animated one whose other frames are 8 × 8 of them.
func apng(depth, kind byte, extra string, pixels ...string) []byte {
	rows := func(side int, pixel string) []byte {
		var packed bytes.Buffer
		z := zlib.NewWriter(&packed)
		for range side {
			io.WriteString(z, "\x00"+strings.Repeat(pixel, side))
		}
		z.Close()
		return packed.Bytes()
	}
	var out bytes.Buffer
	out.WriteString("\x89PNG\r\n\x1a\n")
	chunk(&out, "IHDR", []byte{0, 0, 0, 16, 0, 0, 0, 16, depth, kind, 0, 0, 0})
	if extra != "" {
		chunk(&out, extra[:4], []byte(extra[4:]))
	}
	for i, pixel := range pixels {
		side := 16
		if i > 0 {
			side = 8
		}
		if len(pixels) > 1 {
			chunk(&out, "fcTL", []byte{0, 0, 0, byte(i), 0, 0, 0, byte(side), 0, 0, 0, byte(side), 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0})
		}
		if i == 0 {
			chunk(&out, "IDAT", rows(side, pixel))
		} else {
			chunk(&out, "fdAT", append([]byte{0, 0, 0, byte(i)}, rows(side, pixel)...))
		}
	}
	chunk(&out, "IEND", nil)
	return out.Bytes()
}

// TestJPEGColours compares with the formula of the format.
func TestJPEGColours(t *testing.T) {
	for _, ratio := range []image.YCbCrSubsampleRatio{image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio420} {
		img := image.NewYCbCr(image.Rect(0, 0, 64, 64), ratio)
		d := newDice(3, 0)
		for _, p := range [][]uint8{img.Y, img.Cb, img.Cr} {
			for i := range p {
				p[i] = uint8(d.next())
			}
		}
		got := flat(img)
		for i := range 64 * 64 {
			want := color.RGBAModel.Convert(img.At(i%64, i/64)).(color.RGBA)
			for k, v := range [3]uint8{want.R, want.G, want.B} {
				if diff := int(got[4*i+k]) - int(v); diff > 2 || diff < -2 {
					t.Fatalf("%v: pixel %d channel %d is %d, want about %d", ratio, i, k, got[4*i+k], v)
				}
			}
		}
	}
}

func TestBadFiles(t *testing.T) {
	good := pngOf(t, image.NewNRGBA(image.Rect(0, 0, 30, 30)))
	for name, data := range map[string][]byte{
		"nothing": nil, "text": []byte("hello, this is no picture"), "cut": good[:len(good)/2],
		"webp": []byte("RIFF\x00\x00\x00\x00WEBPVP8 "), "gif": []byte("GIF89a"), "jpeg": {0xff, 0xd8, 0xff},
	} {
		if _, err := decodeFile(data, 10000); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := decodeFile(good, 899); err == nil || !strings.Contains(err.Error(), "more than the 899 pixels") {
		t.Errorf("too large: %v", err)
	}
}

// TestInputNames strips the folder note of the input folder only.
func TestInputNames(t *testing.T) {
	var asked []string
	inputs := func(name string) ([]byte, error) {
		asked = append(asked, name)
		return pngOf(t, image.NewNRGBA(image.Rect(0, 0, 2, 2))), nil
	}
	r := run(t, `{"1":{"class_type":"LoadImage","inputs":{"image":"a.png [input]"}},"2":`+saveOf("1", "a")+`,
		"3":{"class_type":"LoadImageOutput","inputs":{"image":"b.png [output]"}},"4":`+saveOf("3", "a")+`}`, Options{Inputs: inputs})
	if got, want := strings.Join(asked, ","), "a.png,b.png [output]"; got != want || len(r.Errors) > 0 {
		t.Errorf("asked for %s, want %s; %s", got, want, failures(r))
	}
}
