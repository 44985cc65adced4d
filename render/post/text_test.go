package post

import (
	"image"
	"image/color"
	"strings"
	"testing"
)

// plain is a picture of one colour.
func plain(w, h int, c color.NRGBA) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := 0; i < len(img.Pix); i += 4 {
		img.Pix[i], img.Pix[i+1], img.Pix[i+2], img.Pix[i+3] = c.R, c.G, c.B, c.A
	}
	return img
}

// changed is the smallest rectangle that holds every pixel of another colour than c.
func changed(img *image.NRGBA, c color.NRGBA) (r image.Rectangle, n int) {
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			if img.NRGBAAt(x, y) != c {
				r, n = r.Union(image.Rect(x, y, x+1, y+1)), n+1
			}
		}
	}
	return r, n
}

func apply(t *testing.T, img image.Image, steps string, lookup func(string) (string, bool)) *Picture {
	t.Helper()
	r, err := ParseRecipe([]byte(steps), openGolden)
	if err != nil {
		t.Fatalf("%s: %v", steps, err)
	}
	p, err := Source{Img: img, Lookup: lookup}.Run(r.Variants[0].Steps)
	if err != nil {
		t.Fatalf("%s: %v", steps, err)
	}
	return p
}

var grey = color.NRGBA{100, 100, 100, 255}

// TestWatermarkText looks where the letters lie and how strong they are.
func TestWatermarkText(t *testing.T) {
	for _, c := range []struct {
		steps  string
		within image.Rectangle // of the ink
		least  int             // pixels
		bright uint8           // the brightest sample, ± 2
	}{
		{`[{"watermark": {"text": "comfyc", "size": 20, "opacity": 1, "margin": 10}}]`, image.Rect(110, 60, 191, 91), 300, 255},
		{`[{"watermark": {"text": "comfyc", "size": 20, "margin": 10}}]`, image.Rect(110, 60, 191, 91), 300, 178},
		{`[{"watermark": {"text": "comfyc", "size": 20, "anchor": "top-left", "margin": 0}}]`, image.Rect(0, 0, 80, 30), 300, 178},
		{`[{"watermark": {"text": "%axis.a%", "size": 20, "opacity": 1, "color": "#c8c8c8", "anchor": "center"}}]`, image.Rect(60, 30, 140, 70), 100, 200},
	} {
		p := apply(t, plain(200, 100, grey), c.steps, func(string) (string, bool) { return "fox", true })
		r, n := changed(p.Pix, grey)
		if !r.In(c.within) || n < c.least {
			t.Errorf("%s: %d pixels in %v, want at least %d within %v", c.steps, n, r, c.least, c.within)
		}
		var bright uint8
		for i := 0; i < len(p.Pix.Pix); i += 4 {
			bright = max(bright, p.Pix.Pix[i])
		}
		if int(bright) < int(c.bright)-2 || int(bright) > int(c.bright)+2 {
			t.Errorf("%s: the brightest sample is %d, want %d", c.steps, bright, c.bright)
		}
	}
	one := apply(t, plain(200, 100, grey), `[{"watermark": {"text": "x", "size": 12, "margin": 10}}]`, nil)
	all := apply(t, plain(200, 100, grey), `[{"watermark": {"text": "x", "size": 12, "margin": 10, "tile": true}}]`, nil)
	_, few := changed(one.Pix, grey)
	if r, many := changed(all.Pix, grey); many < 20*few || r.Dx() < 170 || r.Dy() < 75 {
		t.Errorf("tiled, %d pixels in %v change, and %d alone", many, r, few)
	}
}

func TestLabel(t *testing.T) {
	words := map[string]string{"axis.prompt": strings.Repeat("a red fox in the snow ", 8), "seed": "18446744073709551615", "empty": ""}
	lookup := func(token string) (string, bool) { v, ok := words[token]; return v, ok }
	white, black := color.NRGBA{255, 255, 255, 255}, color.NRGBA{0, 0, 0, 255}
	p := apply(t, plain(240, 60, grey), `[{"label": {"text": "%seed%, 100 %%", "size": 14}}]`, lookup)
	high := p.Pix.Rect.Dy()
	if p.Pix.Rect.Dx() != 240 || high < 60+14 || high > 60+40 {
		t.Fatalf("size %v", p.Pix.Rect)
	}
	strip := p.Pix.SubImage(image.Rect(0, 60, 240, high)).(*image.NRGBA)
	strip, _ = Convert(strip)
	if r, n := changed(strip, black); n < 200 || r.Min.X < 5 || r.Max.X > 235 || p.Pix.NRGBAAt(5, 5) != grey || len(p.Notes) != 0 {
		t.Errorf("%d pixels of text in %v, notes %q", n, r, p.Notes)
	}
	top := apply(t, plain(240, 60, grey), `[{"label": {"text": "x", "size": 14, "position": "top", "background": "white", "color": "black", "align": "right"}}]`, lookup)
	if top.Pix.NRGBAAt(0, 0) != white || top.Pix.NRGBAAt(5, top.Pix.Rect.Dy()-1) != grey {
		t.Error("the strip is not above the picture")
	}
	head, _ := Convert(top.Pix.SubImage(image.Rect(0, 0, 240, top.Pix.Rect.Dy()-60)))
	if r, n := changed(head, white); n == 0 || r.Min.X < 200 {
		t.Errorf("the letter stands at %v, not at the right", r)
	}
	long := apply(t, plain(240, 60, grey), `[{"label": {"text": "%axis.prompt%", "size": 14}}]`, lookup)
	if long.Pix.Rect.Dy() < high+2*14 {
		t.Errorf("a long text is not broken into lines: %v", long.Pix.Rect)
	}
	if none := apply(t, plain(240, 60, grey), `[{"label": "%empty%"}]`, lookup); none.Pix.Rect.Dy() != 60 {
		t.Errorf("an empty text has a strip: %v", none.Pix.Rect)
	}
	if boxes := apply(t, plain(240, 60, grey), `[{"label": "狐狸"}]`, lookup); len(boxes.Notes) != 1 || !strings.Contains(boxes.Notes[0], "no form for 2") {
		t.Errorf("notes %q", boxes.Notes)
	}
	steps, _ := Parse([]byte(`[{"label": "%nothing%"}]`))
	if _, err := (Source{Img: plain(9, 9, grey), Lookup: lookup}).Run(steps); err == nil || !strings.Contains(err.Error(), "no value for %nothing%") {
		t.Errorf("error %v", err)
	}
}

// TestWrap bounds lines by width and number, whatever the text.
func TestWrap(t *testing.T) {
	pen, err := newPen(14, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "one", "two words", strings.Repeat("word ", 500), strings.Repeat("x", 500), "a\n\nb", strings.Repeat("W", 20) + " i", "\x00\x01"} {
		lines := pen.wrap(text, 90, 4)
		if len(lines) == 0 || len(lines) > 4 {
			t.Errorf("%.20q: %d lines", text, len(lines))
		}
		for _, line := range lines {
			if pen.width(line) > 90 {
				t.Errorf("%.20q: %q is %d pixels wide", text, line, pen.width(line))
			}
		}
	}
	if got := strings.Join(pen.wrap("a\n\nb", 90, 4), "|"); got != "a||b" {
		t.Errorf("line breaks: %q", got)
	}
}

func TestTokens(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "a": "a", "%x%": "<x>", "a%x%b%y%": "a<x>b<y>", "100%%": "100%", "50% off": "50% off", "%a b%": "<a b>", "%%%x%": "%<x>", "%x": "%x",
	} {
		got, err := expand(text, func(name string) (string, bool) { return "<" + name + ">", true })
		if err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
	long, err := expand("%x%", func(string) (string, bool) { return strings.Repeat("ä", maxText), true })
	if err != nil || len(long) > maxText || !strings.HasSuffix(long, "ä…") {
		t.Errorf("%d bytes, %v", len(long), err)
	}
	r, err := ParseRecipe([]byte(`{"variants": {"a": [{"label": "%seed% %axis.x%"}], "b": [{"watermark": "%seed%"}, {"metadata": {"mode": "replace", "text": {"k": "%cfg%"}}}]}}`), nil)
	if got := strings.Join(r.Tokens(), " "); err != nil || got != "axis.x cfg seed" {
		t.Errorf("tokens %q, %v", got, err)
	}
}
