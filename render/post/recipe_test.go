package post

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

func TestRecipe(t *testing.T) {
	r, err := ParseRecipe([]byte(`{"variants": {"web": [{"rotate": 90}], "Print-2": [{"flip": "both"}, "grayscale"], "a": []}, "originals": "drop"}`), nil)
	if err != nil || !r.DropOriginals || len(r.Variants) != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
	if v := r.Variants; v[0].Name != "web" || v[1].Name != "Print-2" || v[1].Steps[1].Name() != "grayscale" || v[2].Name != "a" {
		t.Errorf("the variants are not in their order: %+v", v)
	}
	if r, err := ParseRecipe([]byte(` {"steps": ["grayscale"]}`), nil); err != nil || len(r.Variants) != 1 || r.Variants[0].Name != "" || r.DropOriginals {
		t.Errorf("%+v, %v", r, err)
	}
	for _, text := range []string{`[]`, `null`, `{"steps": []}`} {
		if r, err := ParseRecipe([]byte(text), nil); err != nil || len(r.Variants) != 0 {
			t.Errorf("%s: %+v, %v", text, r, err)
		}
	}
}

// TestRecipeErrors holds the place and the words of mistakes.
func TestRecipeErrors(t *testing.T) {
	many := make([]string, MaxVariants+1)
	for i := range many {
		many[i] = `"v` + strings.Repeat("x", i) + `": []`
	}
	for text, want := range map[string]string{
		``:                                 ": post: EOF",
		`{}`:                               ": post: either steps or variants",
		`{"steps": [], "variants": {}}`:    ": post: either steps or variants",
		`{"stepz": []}`:                    `: post: json: unknown field "stepz"`,
		`{"steps": [], "originals": "no"}`: "/originals: post: originals are keep or drop",
		`{"variants": {}}`:                 "/variants: post: 0 variants",
		`{"variants": []}`:                 "/variants: post: expected an object",
		`{"variants": {` + strings.Join(many, ",") + `}}`:                                      "/variants: post: 17 variants",
		`{"variants": {"a/b": []}}`:                                                            "/variants/a/b: post: a variant's name",
		`{"variants": {"NUL": []}}`:                                                            "/variants/NUL: post: a variant's name",
		`{"variants": {"a": [], "A": []}}`:                                                     "/variants/A: post: two variants are called A",
		`{"variants": {"w": ["grayscale", {"flip": "up"}]}}`:                                   `/variants/w/1: post, variant w, step 2: flip: there is no direction "up"`,
		`{"variants": {"w": 5}}`:                                                               "/variants/w: post, variant w: json",
		`{"steps": [{"rotate": 400}]}`:                                                         "/steps/0: post, step 1: rotate: degrees must be",
		`[{"rotate": 0}]`:                                                                      "/0: post, step 1: rotate: degrees must be",
		`[{"rotate": {"degrees": 5, "background": "mauve"}}]`:                                  `/0: post, step 1: rotate: "mauve" is no colour`,
		`[{"resize": {"percent": 50, "width": 3}}]`:                                            "/0: post, step 1: resize: percent cannot be given with",
		`[{"crop": {"aspect": "1:1", "width": 3}}]`:                                            "/0: post, step 1: crop: aspect goes with an anchor only",
		`[{"crop": {"aspect": "0:1"}}]`:                                                        `/0: post, step 1: crop: "0:1" is no aspect`,
		`[{"crop": {"aspect": "1e999:1"}}]`:                                                    `is no aspect`,
		`[{"crop": {"width": 1, "height": 1, "anchor": "middle"}}]`:                            `/0: post, step 1: crop: there is no anchor "middle"`,
		`[{"pad": {}}]`:                                                                        "/0: post, step 1: pad: width, height or aspect is needed",
		`[{"pad": {"aspect": "1:1", "color": "#12345"}}]`:                                      `"#12345" is no colour`,
		`[{"adjust": {}}]`:                                                                     "/0: post, step 1: adjust: nothing is adjusted",
		`[{"adjust": {"gamma": 0.01}}]`:                                                        "gamma must be between",
		`[{"adjust": {"blur": -1}}]`:                                                           "blur must be between 0 and 50",
		`[{"watermark": {}}]`:                                                                  "either text or image is needed",
		`[{"watermark": {"text": "a", "image": "b"}}]`:                                         "either text or image is needed",
		`[{"watermark": {"text": "a", "scale": 0.5}}]`:                                         "scale is for an image",
		`[{"watermark": {"image": "logo.png"}}]`:                                               "/0: post, step 1: files cannot be read here: logo.png",
		`[{"label": {"text": ""}}]`:                                                            "label: text is needed",
		`[{"label": {"text": "a", "align": "up"}}]`:                                            `no align "up"`,
		`[{"metadata": "replace"}]`:                                                            "text is needed by the mode replace",
		`[{"metadata": {"mode": "replace", "text": {"ä": "x"}}}]`:                              "letters beyond ASCII",
		`[{"metadata": {"mode": "replace", "text": {" a": "x"}}}]`:                             "blanks",
		`[{"metadata": {"mode": "replace", "text": {"a ": "x"}}}]`:                             "blanks",
		`[{"metadata": {"mode": "replace", "text": {"a  b": "x"}}}]`:                           "blanks",
		`[{"metadata": {"mode": "replace", "text": {"` + strings.Repeat("k", 80) + `": ""}}}]`: "1 to 79 letters",
		`[{"format": {"type": "jpeg", "compression": "best"}}]`:                                "compression is for type png",
		`[{"format": {"compression": "zip"}}]`:                                                 `no compression "zip"`,
	} {
		_, err := ParseRecipe([]byte(text), nil)
		var e *ParseError
		if !errors.As(err, &e) {
			t.Errorf("%s: error %v", text, err)
			continue
		}
		if got := e.Pointer + ": " + e.Error(); !strings.Contains(got, want) || strings.HasPrefix(want, "/") && !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s\nwant %s", text, got, want)
		}
	}
}

// TestRecipeFiles reads a watermark's image once, and refuses what is none.
func TestRecipeFiles(t *testing.T) {
	for name, want := range map[string]string{"mark.png": "", "cases.json": "cannot be read as PNG or JPEG", "absent.png": "no such file"} {
		opened := 0
		_, err := ParseRecipe([]byte(`[{"watermark": {"image": "`+name+`"}}]`), func(path string) (io.ReadSeekCloser, error) {
			opened++
			return openGolden(path)
		})
		if opened != 1 || (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: opened %d times, %v", name, opened, err)
		}
	}
	if _, err := openPicture(func(string) (io.ReadSeekCloser, error) { return os.Open(os.DevNull) }, "x"); err == nil {
		t.Error("an empty file is a picture")
	}
}

func TestColours(t *testing.T) {
	for text, want := range map[string][4]uint8{"#fff": {255, 255, 255, 255}, "#10203040": {16, 32, 48, 64}, "#102030": {16, 32, 48, 255}, "Transparent": {}, "RED": {255, 0, 0, 255}} {
		if c, err := ParseColour(text); err != nil || [4]uint8{c.R, c.G, c.B, c.A} != want {
			t.Errorf("%s: %v, %v", text, c, err)
		}
	}
	for _, text := range []string{"", "#", "#1", "#12345", "fff", "#gggggg", "#1122334455"} {
		if c, err := ParseColour(text); err == nil {
			t.Errorf("%q is %v", text, c)
		}
	}
}
