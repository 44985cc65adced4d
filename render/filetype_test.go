package render

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/render/post"
)

func TestDetectType(t *testing.T) {
	for _, c := range []struct{ head, name, mime, ext string }{
		{"\x89PNG\r\n\x1a\nxxxx", "a.exe", "image/png", ".png"},
		{"\xff\xd8\xff\xe0", "", "image/jpeg", ".jpg"},
		{"GIF89a", "", "image/gif", ".gif"},
		{"RIFF\x10\x00\x00\x00WEBPVP8 ", "", "image/webp", ".webp"},
		{"RIFF\x10\x00\x00\x00WAVEfmt ", "", "audio/wav", ".wav"},
		{"\x00\x00\x00\x18ftypisom", "", "video/mp4", ".mp4"},
		{"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41", "", "video/mp4", ".mp4"},
		{"\x00\x00\x00\x1cftypmp42\x00\x00\x00\x00mp42isomhvc1", "", "video/mp4", ".mp4"},
		{"\x00\x00\x00\x1cftypiso6\x00\x00\x02\x00iso6av01mp41", "", "video/mp4", ".mp4"},
		{"\x00\x00\x00\x18ftypdash", "", "video/mp4", ".mp4"},
		{"\x00\x00\x00\x18ftypqt  ", "", "video/quicktime", ".mov"},
		{"\x00\x00\x00\x18ftypM4A \x00\x00\x02\x00isom", "", "audio/mp4", ".m4a"},
		{"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00avifmif1miaf", "", "image/avif", ".avif"},
		{"\x00\x00\x00\x1cftypavis\x00\x00\x00\x00avismsf1miaf", "", "image/avif", ".avif"},
		{"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00mif1avifmiaf", "", "image/avif", ".avif"},
		{"\x00\x00\x00\x1cftypmsf1\x00\x00\x00\x00msf1avismiaf", "", "image/avif", ".avif"},
		{"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "", "image/heic", ".heic"},
		{"\x00\x00\x00\x18ftypheix\x00\x00\x00\x00mif1heix", "", "image/heic", ".heic"},
		{"\x00\x00\x00\x18ftyphevc\x00\x00\x00\x00msf1hevc", "", "image/heic", ".heic"},
		{"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic", "", "image/heic", ".heic"},
		{"\x00\x00\x00\x18ftypmsf1\x00\x00\x00\x00msf1hevc", "", "image/heif", ".heif"},
		{"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm", "", "video/webm", ".webm"},
		{"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska", "", "video/x-matroska", ".mkv"},
		{"fLaC", "", "audio/flac", ".flac"},
		{"OggS", "", "audio/ogg", ".ogg"},
		{"ID3\x04", "", "audio/mpeg", ".mp3"},
		{"\xff\xfb\x90", "", "audio/mpeg", ".mp3"},
		{"glTF\x02", "", "model/gltf-binary", ".glb"},
		{`{"a": [1]}`, "", "application/json", ".json"},
		{"a caption", "cap.html", "text/plain", ".txt"},
		{"", "", "text/plain", ".txt"},
		{"{not json", "", "text/plain", ".txt"},
		{"<svg onload='alert(1)'>", "x.svg", "image/svg+xml", ".svg.txt"},
		{"\ufeff  <!-- c --><?xml version='1.0'?><SVG>", "x.png", "image/svg+xml", ".svg.txt"},
		{"<!DOCTYPE HTML><p>", "x.png", "text/html", ".html.txt"},
		{"<p><script>alert(1)</script>", "x.png", "text/html", ".html.txt"},
		{"\x00\x01\x02", "x.exe", "application/octet-stream", ".bin"},
		{"\x98\x00\x00\x00\x00\x00\x00\x00{}", "a.latent", "application/octet-stream", ".latent"},
		{"ply\nformat ascii 1.0\n", "mesh.ply", "application/octet-stream", ".ply"},
	} {
		got := DetectType([]byte(c.head), c.name)
		if got.MIME != c.mime || got.Ext != c.ext {
			t.Errorf("%q: %s %s, want %s %s", c.head, got.MIME, got.Ext, c.mime, c.ext)
		}
		if strings.HasSuffix(c.mime, "html") != strings.HasSuffix(got.Ext, "html.txt") || c.ext == ".svg.txt" && got.Kind != KindOther {
			t.Errorf("%q would be shown inline: %v", c.head, got)
		}
	}
	cut := []byte(strings.Repeat("ä", 2048))[:sniffBytes-1]
	if got := DetectType(cut, ""); got.Kind != KindText {
		t.Errorf("text whose last character is cut is %v", got)
	}
}

// pngChunk is one chunk with its checksum.
func pngChunk(kind, body string) string {
	var b bytes.Buffer
	binary.Write(&b, binary.BigEndian, uint32(len(body)))
	b.WriteString(kind + body)
	binary.Write(&b, binary.BigEndian, crc32.ChecksumIEEE([]byte(kind+body)))
	return b.String()
}

// pngWith encodes img with text chunks before its data.
func pngWith(t testing.TB, img image.Image, chunks ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	const afterIHDR = 8 + 25
	out := append([]byte(nil), b.Bytes()[:afterIHDR]...)
	for _, c := range chunks {
		out = append(out, c...)
	}
	return append(out, b.Bytes()[afterIHDR:]...)
}

// onePixelWebP is a lossless picture of one pixel: five codes of one symbol each, of which no bit is needed.
const onePixelWebP = "RIFF\x14\x00\x00\x00WEBPVP8L\x08\x00\x00\x00\x2f\x00\x00\x00\x00\x88\x88\x08"

func TestDecodePicture(t *testing.T) {
	img := landscape(64, 48, 20, 1, 1)
	good := pngWith(t, img)
	var jpg, anim bytes.Buffer
	if err := jpeg.Encode(&jpg, img, nil); err != nil {
		t.Fatal(err)
	}
	if err := gif.Encode(&anim, img, nil); err != nil {
		t.Fatal(err)
	}
	bomb := append([]byte(nil), good...)
	copy(bomb[8:], pngChunk("IHDR", "\x00\x00\x75\x30\x00\x00\x75\x30\x08\x06\x00\x00\x00")) // 30000 × 30000
	zero := append([]byte(nil), good...)
	copy(zero[8:], pngChunk("IHDR", "\x00\x00\x00\x00\x00\x00\x00\x10\x08\x06\x00\x00\x00"))
	webpAnim := "RIFF\x16\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x02\x00\x00\x00\x3f\x00\x00\x2f\x00\x00"
	for _, c := range []struct {
		name, mime string
		data       []byte
		size       image.Point
		err        error  // if it wraps this one
		text       string // or says this
	}{
		{"png", "image/png", good, image.Pt(64, 48), nil, ""},
		{"jpeg", "image/jpeg", jpg.Bytes(), image.Pt(64, 48), nil, ""},
		{"gif", "image/gif", anim.Bytes(), image.Pt(64, 48), nil, ""},
		{"truncated png", "image/png", good[:len(good)-20], image.Pt(64, 48), nil, "damaged"},
		{"png without its end", "image/png", good[:len(good)-12], image.Pt(64, 48), nil, "damaged"},
		{"truncated jpeg", "image/jpeg", jpg.Bytes()[:jpg.Len()-40], image.Pt(64, 48), nil, "damaged"},
		{"bomb", "image/png", bomb, image.Pt(30000, 30000), errTooLarge, ""},
		{"zero", "image/png", zero, image.Point{}, nil, "damaged"},
		{"smallest webp", "image/webp", []byte(onePixelWebP), image.Pt(1, 1), nil, ""},
		{"smallest webp cut off", "image/webp", []byte(onePixelWebP[:27]), image.Point{}, nil, "shorter than it says"},
		{"webp without a chunk", "image/webp", []byte("RIFF\x04\x00\x00\x00WEBP"), image.Point{}, nil, "damaged"},
		{"animated webp", "image/webp", []byte(webpAnim), image.Pt(64, 48), errNoDecoder, ""},
		{"short webp", "image/webp", []byte(webpAnim[:29]), image.Point{}, nil, "damaged"},
		{"webp cut off", "image/webp", []byte("RIFF\xff\x00\x00\x00" + webpAnim[8:]), image.Point{}, nil, "shorter than it says"},
		{"avif", "image/avif", []byte("x"), image.Point{}, errNoDecoder, ""},
		{"nothing", "image/png", nil, image.Point{}, nil, "damaged"},
	} {
		got, size, err := DecodePicture(bytes.NewReader(c.data), c.mime)
		switch {
		case c.err != nil:
			if !errors.Is(err, c.err) {
				t.Errorf("%s: error %v, want %v", c.name, err, c.err)
			}
		case c.text != "":
			if err == nil || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%s: error %v, want %q", c.name, err, c.text)
			}
		case err != nil || got.Bounds().Size() != c.size:
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
		if size != c.size {
			t.Errorf("%s: size %v, want %v", c.name, size, c.size)
		}
	}
}

func TestKeysOf(t *testing.T) {
	img := image.NewGray(image.Rect(0, 0, 4, 4))
	data := pngWith(t, img, pngChunk("tEXt", "workflow\x00{}"), pngChunk("tEXt", "prompt\x00{}"), pngChunk("iTXt", "comfyc\x00\x00\x00\x00\x00{}"),
		pngChunk("tEXt", "prompt\x00again"), pngChunk("tEXt", "Software\x00x"), pngChunk("zTXt", "no end"))
	if got := strings.Join(keysOf(post.ReadMeta(bytes.NewReader(data), "image/png").Text), " "); got != "comfyc prompt workflow" {
		t.Errorf("keys %q", got)
	}
}

func TestThumbnail(t *testing.T) {
	for _, c := range []struct{ w, h, tw, th int }{{1024, 512, 320, 160}, {512, 1024, 160, 320}, {100, 60, 100, 60}, {2000, 3, 320, 1}} {
		img := image.NewNRGBA(image.Rect(0, 0, c.w, c.h))
		img.SetNRGBA(0, 0, color.NRGBA{255, 0, 0, 255})
		p, err := thumbnail(img)
		if err != nil || p.Pix.Rect.Size() != image.Pt(c.tw, c.th) || p.Format.Ext() != ".jpg" {
			t.Errorf("%d×%d: %v, %v", c.w, c.h, p, err)
		}
	}
}

func FuzzDecodePicture(f *testing.F) {
	f.Add(pngWith(f, image.NewGray(image.Rect(0, 0, 4, 4)), pngChunk("tEXt", "prompt\x00{}")))
	var b bytes.Buffer
	if err := gif.Encode(&b, image.NewPaletted(image.Rect(0, 0, 3, 3), color.Palette{color.Black, color.White}), nil); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte("RIFF\x16\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x02\x00\x00\x00\x3f\x00\x00\x2f\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		typ := DetectType(data[:min(len(data), sniffBytes)], "")
		img, size, err := DecodePicture(bytes.NewReader(data), typ.MIME)
		if err != nil {
			return
		}
		// The first frame of a GIF may be smaller than its canvas.
		if b := img.Bounds().Size(); size.X*size.Y == 0 || b != size && typ.MIME != "image/gif" {
			t.Fatalf("%s: bounds %v, header %v", typ.MIME, img.Bounds(), size)
		}
		if size.X*size.Y < 1<<20 {
			if _, err := thumbnail(img); err != nil && !strings.Contains(err.Error(), "damaged") {
				t.Fatalf("%s: %v", typ.MIME, err)
			}
		}
	})
}
