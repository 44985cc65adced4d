package worker

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"image"
	"image/png"
	"strings"
	"testing"
	"time"
)

// chunks lists the chunks of a PNG, checking their sums; text chunks as key=value.
func chunks(t *testing.T, data []byte) (kinds []string, texts map[string]string) {
	t.Helper()
	texts = map[string]string{}
	for at := 8; at < len(data); {
		size := int(binary.BigEndian.Uint32(data[at:]))
		body := data[at+4 : at+8+size]
		if crc32.ChecksumIEEE(body) != binary.BigEndian.Uint32(data[at+8+size:]) {
			t.Errorf("chunk %s has a wrong sum", body[:4])
		}
		kinds = append(kinds, string(body[:4]))
		if key, value, ok := strings.Cut(string(body[4:]), "\x00"); ok && string(body[:4]) == "tEXt" {
			texts[key] = value
		}
		at += 12 + size
	}
	return kinds, texts
}

func TestMetadata(t *testing.T) {
	prompt := "{\n\"1\":" + empty + `,"2":{"class_type":"SaveImage","inputs":{"images":["1",0],"filename_prefix":"größe/\"x\""},"_meta":{"n":[1,2.50]}}}`
	extra := map[string]json.RawMessage{"workflow": json.RawMessage(`{"a":[],"b":null}`), "about": json.RawMessage(`"€"`)}
	r := run(t, prompt, Options{Extra: extra})
	kinds, texts := chunks(t, r.Files[0].Data)
	if got, want := strings.Join(kinds, " "), "IHDR tEXt tEXt tEXt IDAT IEND"; got != want {
		t.Errorf("chunks %s, want %s", got, want)
	}
	want := map[string]string{
		"prompt": `{"1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 6, "batch_size": 1, "color": 255}}, ` +
			`"2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "gr\u00f6\u00dfe/\"x\""}, "_meta": {"n": [1, 2.50]}}}`,
		"workflow": `{"a": [], "b": null}`, "about": `"\u20ac"`,
	}
	for key, value := range want {
		if texts[key] != value {
			t.Errorf("%s is\n%s, want\n%s", key, texts[key], value)
		}
	}
	bare := run(t, prompt, Options{Extra: extra, NoMetadata: true})
	if kinds, _ := chunks(t, bare.Files[0].Data); strings.Join(kinds, " ") != "IHDR IDAT IEND" {
		t.Errorf("without metadata: %v", kinds)
	}
}

func TestFileNames(t *testing.T) {
	batch := `{"class_type":"EmptyImage","inputs":{"width":8,"height":6,"batch_size":2,"color":0}}`
	tests := []struct {
		prefix  string
		counter func(string) int
		want    string
	}{
		{"px", nil, "output:/px_00001_.png@2 output:/px_00002_.png@2"},
		{"a/b/px", nil, "output:a/b/px_00001_.png@2 output:a/b/px_00002_.png@2"},
		{"./a//px", nil, "output:a/px_00001_.png@2 output:a/px_00002_.png@2"},
		{"%width%x%height%-%batch_num%", nil, "output:/8x6-0_00001_.png@2 output:/8x6-1_00002_.png@2"},
		{"px", func(p string) int { return len(p) + 40 }, "output:/px_00042_.png@2 output:/px_00043_.png@2"},
		{"a/../px", nil, "output:/px_00001_.png@2 output:/px_00002_.png@2"},
	}
	for _, tt := range tests {
		r := run(t, `{"1":`+batch+`,"2":`+saveOf("1", tt.prefix)+`}`, Options{Counter: tt.counter})
		if got := saved(r); got != tt.want {
			t.Errorf("%s: %s, want %s (%s)", tt.prefix, got, tt.want, failures(r))
		}
	}
}

func TestNoEscape(t *testing.T) {
	for _, prefix := range []string{"../px", "/px", "a/../../px", "..", `a/..\..\px`, "a\x00b"} {
		r := run(t, `{"1":`+empty+`,"2":{"class_type":"SaveImage","inputs":{"images":["1",0],"filename_prefix":`+quoted(prefix)+`}}}`, Options{})
		if len(r.Files) > 0 || len(r.Errors) != 1 {
			t.Errorf("%q: saved %s", prefix, saved(r))
		}
	}
}

// quoted is a JSON string.
func quoted(s string) string {
	data, _ := json.Marshal(s)
	return string(data)
}

func TestTimeTokens(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	if got, want := fillTokens("%year%-%month%-%day% %hour%%minute%%second% %odd%", 1, 2, now), "2026-03-04 050607 %odd%"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestCountsOn gives numbers on from the larger of the folder's and the run's.
func TestCountsOn(t *testing.T) {
	r := run(t, `{"1":`+empty+`,"2":`+saveOf("1", "a")+`,"3":`+saveOf("1", "a")+`,"4":{"class_type":"PreviewImage","inputs":{"images":["1",0]}}}`,
		Options{Counter: func(string) int { return 5 }})
	name := tempPrefix("4")
	if got, want := saved(r), "output:/a_00005_.png@2 output:/a_00006_.png@3 temp:/"+name+"_00005_.png@4"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if len(name) != len("ComfyUI_temp_abcde") || name == tempPrefix("5") {
		t.Errorf("temporary names: %s and %s", name, tempPrefix("5"))
	}
}

// TestDeepPNG reads 16-bit files back.
func TestDeepPNG(t *testing.T) {
	r := run(t, `{"1":`+empty+`,"2":{"class_type":"SaveImageAdvanced","inputs":{"images":["1",0],"filename_prefix":"a","format":"png","format.bit_depth":"16-bit"}}}`, Options{})
	if saved(r) != "output:/a_00001.png@2" {
		t.Fatalf("%s %s", saved(r), failures(r))
	}
	img, err := png.Decode(bytes.NewReader(r.Files[0].Data))
	if err != nil {
		t.Fatal(err)
	}
	deep, ok := img.(*image.RGBA64)
	if !ok || deep.RGBA64At(3, 3).B != 65535 || deep.RGBA64At(3, 3).R != 0 {
		t.Errorf("%T %v", img, img.At(3, 3))
	}
}

// TestPNGRoundTrip writes noise of 3 and 4 channels and reads it with image/png.
func TestPNGRoundTrip(t *testing.T) {
	for _, c := range []int{3, 4} {
		pix := make([]byte, 33*17*c)
		d := newDice(uint64(c), 0)
		for i := range pix {
			pix[i] = byte(d.next())
		}
		data, err := encodePNG(pix, 33, 17, c, 8, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := flat(decoded(t, data))
		for i := range 33 * 17 {
			if !bytes.Equal(got[4*i:4*i+c], pix[c*i:c*i+c]) {
				t.Fatalf("%d channels: pixel %d is %v, want %v", c, i, got[4*i:4*i+c], pix[c*i:c*i+c])
			}
		}
	}
}
