package post

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/image/webp"
)

// rewritten puts m's texts into a file and reads them back, if the file can take them.
func rewritten(t *testing.T, data []byte, mime string, m Meta) []byte {
	t.Helper()
	var out bytes.Buffer
	left, err := Rewrite(&out, bytes.NewReader(data), mime, m)
	if err != nil {
		return nil
	}
	again := ReadMeta(bytes.NewReader(out.Bytes()), mime)
	if mime == "image/png" && !slices.Equal(again.Text, m.Text) && len(left) == 0 {
		t.Fatalf("texts %q, wanted %q", again.Text, m.Text)
	}
	return out.Bytes()
}

// TestRewrite changes the texts of files that have some or none, and nothing else of them.
func TestRewrite(t *testing.T) {
	decoders := map[string]func(io.Reader) (image.Image, error){"image/png": png.Decode, "image/jpeg": jpeg.Decode, "image/webp": webp.Decode}
	texts := []Text{{"workflow", `{"b":2}`}, {"prompt", `{"a":1}`}, {"comfyc", `{"seed":"18446744073709551615"}`}}
	for mime, steps := range map[string]string{"image/png": `[]`, "image/jpeg": `[{"format": "jpeg"}]`, "image/webp": `[{"format": "webp"}]`} {
		bare, _ := encoded(t, steps)
		old, _ := encoded(t, steps, Text{"prompt", `{"old":true}`}, Text{"note", "old"})
		for name, data := range map[string][]byte{"without texts": bare, "with texts": old} {
			m := ReadMeta(bytes.NewReader(data), mime)
			m.Text = texts
			out := rewritten(t, data, mime, m)
			if got := ReadMeta(bytes.NewReader(out), mime); !slices.Equal(got.Text, texts) {
				t.Errorf("%s %s: texts %q", mime, name, got.Text)
			}
			a, err := decoders[mime](bytes.NewReader(out))
			if err != nil {
				t.Fatalf("%s %s: %v", mime, name, err)
			}
			b, _ := decoders[mime](bytes.NewReader(data))
			for y := range 16 {
				for x := range 32 {
					if a.At(x, y) != b.At(x, y) {
						t.Fatalf("%s %s: pixel %d,%d differs", mime, name, x, y)
					}
				}
			}
			// Taking them out again gives the file as it was, where nothing else had to be added.
			if m = ReadMeta(bytes.NewReader(out), mime); mime != "image/webp" {
				m.Text = nil
				if again := rewritten(t, out, mime, m); !bytes.Equal(again, bare) {
					t.Errorf("%s %s: %d bytes without texts, %d before", mime, name, len(again), len(bare))
				}
			}
		}
		for cut := range bare {
			m := ReadMeta(bytes.NewReader(bare[:cut]), mime)
			m.Text = texts
			rewritten(t, bare[:cut], mime, m) // must come back
		}
	}
	if _, err := Rewrite(io.Discard, strings.NewReader("x"), "image/gif", Meta{}); err == nil {
		t.Error("a GIF took texts")
	}
}

// TestRewriteWebPOrder: EXIF lies behind the pixels and before XMP and what is unknown, as the format wants it.
func TestRewriteWebPOrder(t *testing.T) {
	simple, _ := encoded(t, `[{"format": "webp"}]`)
	chunks, err := webpChunks(bytes.NewReader(simple))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(chunks, func(c webpChunk) bool { return c.kind == "VP8L" })
	pixels := simple[chunks[i].at:][:chunks[i].size]
	file := func(kinds ...string) []byte {
		head, err := webpHead(bytes.NewReader(simple), chunks[i:])
		if err != nil {
			t.Fatal(err)
		}
		out := appendWebPChunk(nil, "VP8X", head)
		for _, kind := range kinds {
			body := []byte("some " + kind)
			if kind == "VP8L" {
				body = pixels
			}
			out = appendWebPChunk(out, kind, body)
		}
		return slices.Concat([]byte("RIFF"), binary.LittleEndian.AppendUint32(nil, uint32(4+len(out))), []byte("WEBP"), out)
	}
	for _, tt := range []struct{ kinds, want string }{
		{"VP8L", "VP8X VP8L EXIF"},
		{"ICCP VP8L XMP  KEPT", "VP8X ICCP VP8L EXIF XMP  KEPT"},
		{"VP8L EXIF XMP ", "VP8X VP8L EXIF XMP "},
		{"VP8L KEPT", "VP8X VP8L EXIF KEPT"},
	} {
		var kinds []string
		for rest := tt.kinds; rest != ""; rest = rest[min(5, len(rest)):] {
			kinds = append(kinds, rest[:4])
		}
		data := file(kinds...)
		m := ReadMeta(bytes.NewReader(data), "image/webp")
		m.Text = []Text{{"prompt", "{}"}}
		out := rewritten(t, data, "image/webp", m)
		list, err := webpChunks(bytes.NewReader(out))
		var got []string
		for _, c := range list {
			got = append(got, c.kind)
		}
		if strings.Join(got, " ") != tt.want || err != nil {
			t.Errorf("%s: %q, want %q; %v", tt.kinds, strings.Join(got, " "), tt.want, err)
		}
		if _, err := webp.Decode(bytes.NewReader(out)); err != nil {
			t.Errorf("%s: %v", tt.kinds, err)
		}
	}
	// More chunks than are looked at: an error, and no file without its end.
	if out := rewritten(t, file(slices.Repeat([]string{"KEPT"}, maxParts)...), "image/webp", Meta{Text: []Text{{"prompt", "{}"}}}); out != nil {
		t.Errorf("a file of %d chunks was cut", maxParts+1)
	}
}

// TestRewriteKeeps: a camera's EXIF stays, and so does the orientation that stood beside replaced texts.
func TestRewriteKeeps(t *testing.T) {
	bare, _ := encoded(t, `[{"format": "jpeg"}]`)
	insert := func(body []byte) []byte { return slices.Concat(bare[:2], appendSegment(nil, body), bare[2:]) }
	camera := insert([]byte(exifMark + "II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00camera"))
	m := ReadMeta(bytes.NewReader(camera), "image/jpeg")
	m.Text = []Text{{"comfyc", "{}"}}
	out := rewritten(t, camera, "image/jpeg", m)
	if got := ReadMeta(bytes.NewReader(out), "image/jpeg"); got.Orientation != 6 || !slices.Equal(got.Text, m.Text) || !bytes.Contains(out, []byte("camera")) {
		t.Errorf("%+v", got)
	}
	ours := insert(appendTIFF([]byte(exifMark), []Text{{"prompt", "{}"}}, 6))
	m = ReadMeta(bytes.NewReader(ours), "image/jpeg")
	m.Text = []Text{{"prompt", `{"new":1}`}}
	out = rewritten(t, ours, "image/jpeg", m)
	if got := ReadMeta(bytes.NewReader(out), "image/jpeg"); got.Orientation != 6 || !slices.Equal(got.Text, m.Text) || bytes.Count(out, []byte(exifMark)) != 1 {
		t.Errorf("%+v", got)
	}
}
