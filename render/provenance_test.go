package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render/post"
	"github.com/comfyc/comfyc/scheduler"
)

// TestProvenance: a picture carries its own graph, not the merged one that the worker embedded, and where it comes from; so do its
// variants.
func TestProvenance(t *testing.T) {
	merged := pngWith(t, landscape(64, 48, 200, 2, 3), pngChunk("tEXt", "prompt\x00{\"merged\":1}"), pngChunk("tEXt", "note\x00kept"))
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, landscape(64, 48, 200, 2, 3), nil); err != nil {
		t.Fatal(err)
	}
	recipe, err := post.ParseRecipe([]byte(`{"variants": {"web": [{"format": "jpeg"}], "small": [{"resize": {"width": 20}}, {"format": "webp"}]}}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	cost := 0.004
	for _, data := range [][]byte{merged, photo.Bytes()} {
		dir := t.TempDir()
		col := &Collector{Dir: dir, Name: numbered, Recipe: recipe, Provenance: func(render int) Provenance {
			return Provenance{Batch: "foxes", Plan: "ab", Render: "cd", Cell: "ef", Seed: "18446744073709551615", Coordinates: map[string]string{"cfg": "3.5"},
				Prompt: fmt.Appendf(nil, `{"9":{"class_type":"SaveImage","inputs":{"render":%d}}}`, render)}
		}}
		got, err := col.Collect(t.Context(), scheduler.Result{
			Job:      &compiler.Job{Renders: []int{7, 8}, Owed: []compiler.Owed{owed(7, "9", "a"), owed(8, "9", "b")}},
			Outputs:  []scheduler.Output{{Filename: "a_1.png", Base64: b64(data)}, {Filename: "b_1.png", Base64: b64(data)}},
			Endpoint: scheduler.Properties{Name: "novita-4090", GPU: "rtx4090"}, Worker: "w1", Execution: 14500 * time.Millisecond, CostUSD: &cost,
		})
		if err != nil || len(got.Done) != 2 || len(got.Done[0].Files) != 2 {
			t.Fatalf("%+v, %v", got, err)
		}
		for i, f := range got.Done[1].Files {
			for _, path := range []string{f.Path, f.Original} {
				checkStamp(t, filepath.Join(dir, path), i)
			}
			if want := "comfyc prompt"; strings.Join(f.Metadata, " ") != want {
				t.Errorf("%s: metadata %q", f.Path, f.Metadata)
			}
		}
	}
}

// readStamp gives what comfyc wrote into a picture.
func readStamp(r io.ReadSeeker, mime string) (s Stamp, err error) {
	for _, t := range post.ReadMeta(r, mime).Text {
		if t.Key == stampKey {
			return s, json.Unmarshal([]byte(t.Value), &s)
		}
	}
	return s, errors.New("the picture carries no comfyc metadata")
}

// checkStamp looks at a file of render 8.
func checkStamp(t *testing.T, path string, variant int) {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	mime := DetectType(file[:min(len(file), sniffBytes)], "").MIME
	if _, _, err := DecodePicture(bytes.NewReader(file), mime); err != nil {
		t.Errorf("%s: %v", path, err)
	}
	s, err := readStamp(bytes.NewReader(file), mime)
	text, _ := json.Marshal(s)
	want := `{"version":1,"batch":"foxes","plan":"ab","cell":"ef","coordinates":{"cfg":"3.5"},"seed":"18446744073709551615","graph":"cd","node":"9",` +
		`"endpoint":"novita-4090","gpu":"rtx4090","worker":"w1","seconds":14.5,"cost_usd":0.004,"renders":2}`
	if err != nil || string(text) != want {
		t.Errorf("%s: %v, %s", path, err, text)
	}
	prompt := ""
	for _, x := range post.ReadMeta(bytes.NewReader(file), mime).Text {
		if x.Key == "prompt" {
			prompt += x.Value
		}
	}
	if prompt != `{"9":{"class_type":"SaveImage","inputs":{"render":8}}}` {
		t.Errorf("%s (variant %d): prompt %s", path, variant, prompt)
	}
}

// TestProvenanceDamaged: a picture whose pixels are whole and whose chunks are not is kept as it came, with a note.
func TestProvenanceDamaged(t *testing.T) {
	data := pngWith(t, image.NewGray(image.Rect(0, 0, 4, 4)))
	col := &Collector{Dir: t.TempDir(), Name: numbered, Provenance: func(int) Provenance { return Provenance{Batch: "b"} }}
	cut := append(bytes.Clone(data[:len(data)-12]), "\xff\xff\xff\xffjunk"...) // no IEND: Go's decoder refuses, so it is lost and asked for again
	got, err := col.Collect(t.Context(), scheduler.Result{Job: &compiler.Job{Renders: []int{0}, Owed: []compiler.Owed{owed(0, "9", "p")}},
		Outputs: []scheduler.Output{{Filename: "p_1.png", Base64: b64(cut)}}})
	if err != nil || len(got.Missing) != 1 || got.Missing[0].Kind != scheduler.Lost {
		t.Errorf("%+v, %v", got, err)
	}
	avif := []byte("\x00\x00\x00\x20ftypavif\x00\x00\x00\x00avifmif1miafMA1B")
	got, err = col.Collect(t.Context(), scheduler.Result{Job: &compiler.Job{Renders: []int{1}, Owed: []compiler.Owed{owed(1, "9", "p")}},
		Outputs: []scheduler.Output{{Filename: "p_1.avif", Base64: b64(avif)}}})
	if err != nil || len(got.Done) != 1 || got.Done[0].Files[0].Bytes != int64(len(avif)) || len(got.Done[0].Files[0].Metadata) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestScrub takes out secrets by name, by form and by knowing them, and leaves everything else byte for byte.
func TestScrub(t *testing.T) {
	s := newScrubber([]string{"my-own-secret-1", "short"})
	for in, want := range map[string]string{
		`{"a": {"api_key": "abc", "text": "a short fox"}}`:                        `{"a": {"api_key": "***", "text": "a short fox"}}`,
		`{"auth_token_comfy_org":"x","seed":18446744073709551615, "Token" : "t"}`: `{"auth_token_comfy_org":"***","seed":18446744073709551615, "Token" : "***"}`,
		`{"openai_api_key": "", "token_normalization": "none"}`:                   `{"openai_api_key": "", "token_normalization": "none"}`,
		`{"w": ["sk-abcdefghijklmnopqrstuvwx", 1, "fox"]}`:                        `{"w": ["***", 1, "fox"]}`,
		`{"h": "Authorization: Bearer abcdefghijklmnopqrst"}`:                     `{"h": "Authorization: Bearer ***"}`,
		`{"u": "https://b.s3.amazonaws.com/k?X-Amz-Signature=deadbeef&x=1"}`:      `{"u": "https://b.s3.amazonaws.com/k?X-Amz-Signature=***&x=1"}`,
		`{"u": "https://me:pass@host/x"}`:                                         `{"u": "https://***@host/x"}`,
		`{"text": "say my-own-secret-1 aloud"}`:                                   `{"text": "say *** aloud"}`,
		`{"password": ["4", 0]}`:                                                  `{"password": ["4", 0]}`,
		`{"password": {"x": "fox"}}`:                                              `{"password": {"x": "fox"}}`,
		`plain my-own-secret-1`:                                                   `plain ***`,
		`{"cut": "my-own-secret-1`:                                                `{"cut": "my-own-secret-1`, // no JSON, but see below
		`{"text": "AKIAIOSFODNN7EXAMPLE hf_abcdefghijklmnopqrstuvwxyz"}`:          `{"text": "*** ***"}`,
	} {
		got, n := s.clean(in)
		if in == `{"cut": "my-own-secret-1` {
			want = `{"cut": "***`
		}
		if got != want || (n > 0) != (in != want) {
			t.Errorf("%s\n gave %s (%d)\nwant %s", in, got, n, want)
		}
		if again, n := s.clean(got); again != got || n != 0 {
			t.Errorf("a second time %s gave %s (%d)", got, again, n)
		}
	}
}

// TestSecretsStayOut: what a worker embedded is cleaned, even where nothing else is written into a picture.
func TestSecretsStayOut(t *testing.T) {
	data := pngWith(t, image.NewGray(image.Rect(0, 0, 4, 4)), pngChunk("tEXt", "prompt\x00{\"1\":{\"inputs\":{\"api_key\":\"topsecret\"}}}"))
	dir := t.TempDir()
	col := &Collector{Dir: dir, Name: numbered}
	got, err := col.Collect(t.Context(), scheduler.Result{Job: &compiler.Job{Renders: []int{0}, Owed: []compiler.Owed{owed(0, "9", "p")}},
		Outputs: []scheduler.Output{{Filename: "p_1.png", Base64: b64(data)}}})
	if err != nil || len(got.Done) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	f := got.Done[0].Files[0]
	file, _ := os.ReadFile(filepath.Join(dir, f.Path))
	if bytes.Contains(file, []byte("topsecret")) || !bytes.Contains(file, []byte(`"api_key":"***"`)) || int64(len(file)) != f.Bytes || !strings.Contains(f.Note, "metadata: 1") {
		t.Errorf("%+v\n%q", f, file)
	}
}

func FuzzScrub(f *testing.F) {
	f.Add(`{"api_key": "x", "a": ["b", {"token":"c"}]}`)
	f.Add(`["a\"b", "Bearer abcdefghijklmnopqrstuvwx"]`)
	f.Fuzz(func(t *testing.T, text string) {
		got, n := newScrubber([]string{"secretsecret"}).clean(text)
		if n == 0 && got != text {
			t.Fatalf("%q became %q without a secret", text, got)
		}
		if json.Valid([]byte(text)) && !json.Valid([]byte(got)) {
			t.Fatalf("%q became %q, which is no JSON", text, got)
		}
		if strings.Contains(got, "secretsecret") {
			t.Fatalf("%q became %q", text, got)
		}
	})
}
