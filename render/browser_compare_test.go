package render

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// openSample shows the sample batch.
func openSample(t *testing.T, opt GalleryOptions, hash string) (*browser, string) {
	t.Helper()
	b, dir := newBrowser(t, 1400, 1000), t.TempDir()
	m := sampleManifest(t, dir)
	m.Command = "comfyc render flux.json --set 3.steps=20"
	if err := m.WriteRun(dir, opt); err != nil {
		t.Fatal(err)
	}
	b.open(dir, hash)
	return b, dir
}

// panes are the two pictures that are compared.
const panes = `[...document.querySelectorAll("#media .pane")].map(p => p.querySelector("img").src.split("/").pop()).join("|")`

// TestGalleryCompare pins a picture and compares others with it, in each way.
func TestGalleryCompare(t *testing.T) {
	b, _ := openSample(t, GalleryOptions{}, "#open=0000000000000001")
	b.want(`document.querySelector("#mode").hidden + " " + document.querySelector("#split").hidden`, "true true")
	b.do(chromedp.KeyEvent("p"))
	b.want(`document.querySelector("#pin").getAttribute("aria-pressed") + document.querySelectorAll(".pane").length`, "true0")
	b.do(chromedp.KeyEvent(kb.ArrowRight))
	b.want(panes, "0000.png|0001.png")
	b.want(`[...document.querySelectorAll(".pane .tag")].map(e => e.textContent).join("|")`, "seed 42|seed 18446744073709551615")
	b.want(`[...document.querySelectorAll(".pane img")].every(i => i.naturalWidth === 512 && i.getBoundingClientRect().width > 100)`, "true")

	// Side by side: zoom and pan in step, each picture within its own pane.
	const moves = `(([a, b]) => a.style.transform + (a.style.transform === b.style.transform) + document.querySelector("#media").style.transform)([...document.querySelectorAll(".pane img")])`
	b.do(chromedp.KeyEvent("+"))
	b.want(moves, "translate(0px, 0px) scale(1.4)true")
	b.eval(`(s => { const r = s.getBoundingClientRect(), at = (type, x, y) => document.querySelector("#media").dispatchEvent(new PointerEvent(type, { bubbles: true, isPrimary: true, pointerId: 1, clientX: r.left + x, clientY: r.top + y }));
		s.setPointerCapture = () => {}; at("pointerdown", 300, 300); at("pointermove", 330, 280); at("pointerup", 330, 280); })(document.querySelector("#stage"))`)
	b.want(moves, "translate(30px, -20px) scale(1.4)true")
	saveShot(t, b, "compare-side.png")

	// The slider clips the upper picture; keys in it do not move on.
	b.do(chromedp.KeyEvent("0"), chromedp.KeyEvent("m"))
	b.want(`document.querySelector("#mode").value + document.querySelector("#split").hidden`, "sliderfalse")
	b.want(`document.querySelectorAll(".pane")[1].style.clipPath`, "inset(0px 0px 0px 50%)")
	b.want(`(([a, b]) => JSON.stringify(a.getBoundingClientRect()) === JSON.stringify(b.getBoundingClientRect()))([...document.querySelectorAll(".pane img")])`, "true")
	b.do(chromedp.Focus(chromedp.CSS("#split")), chromedp.KeyEvent(kb.ArrowRight))
	b.want(`document.querySelectorAll(".pane")[1].style.clipPath + `+panes, "inset(0px 0px 0px 51%)0000.png|0001.png")
	saveShot(t, b, "compare-slider.png")

	// Difference: a picture against itself would be black, and is not compared.
	b.do(selectOption("mode", "diff"), chromedp.Focus(chromedp.CSS("#stage")))
	b.want(`getComputedStyle(document.querySelectorAll(".pane")[1]).mixBlendMode`, "difference")
	saveShot(t, b, "compare-diff.png")
	b.do(chromedp.KeyEvent(kb.ArrowLeft))
	b.want(`document.querySelectorAll(".pane").length + document.querySelectorAll("#media > img").length`, "1")
	b.do(chromedp.KeyEvent(kb.ArrowDown))
	b.want(`document.querySelector("#media").className + " " + document.querySelectorAll(".pane").length`, "two diff 2")

	// A second pin: all of them side by side, moved in step; and nothing is pinned any more.
	b.do(chromedp.KeyEvent("p"), chromedp.KeyEvent(kb.ArrowRight))
	b.want(`document.querySelector("#media").className + " " + document.querySelectorAll(".pane").length + document.querySelector("#mode").hidden`, "two side many 3true")
	b.do(chromedp.KeyEvent("+"))
	b.want(`new Set([...document.querySelectorAll(".pane img")].map(i => i.style.transform)).size + document.querySelector(".pane img").style.transform`, "1translate(0px, 0px) scale(1.4)")
	b.want(`[...document.querySelectorAll(".pane .tag")].map(e => e.textContent).join("|")`, "cfg 1, seed 42|cfg 3.5, seed 42|cfg 3.5, seed 18446744073709551615")
	saveShot(t, b, "compare-many.png")
	b.do(chromedp.KeyEvent("u"))
	b.want(`document.querySelectorAll(".pane").length + document.querySelector("#pin").getAttribute("aria-pressed") + document.querySelector("#unpin").hidden`, "0falsetrue")
}

// TestGalleryMarks gives favourites and ratings, and finds them after a reload and in
// what is exported.
func TestGalleryMarks(t *testing.T) {
	b, dir := openSample(t, GalleryOptions{}, "#open=0000000000000001")
	b.do(chromedp.KeyEvent("f"), chromedp.KeyEvent("4"), chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent("3"), chromedp.KeyEvent("5"))
	b.want(`[...document.querySelectorAll(".marks .btn")].map(e => e.textContent + e.getAttribute("aria-pressed")[0]).join("")`, "♡f★f★f★f★f★t")
	b.do(chromedp.Click(chromedp.CSS(`[data-mark="Rate 5"]`))) // the same again takes it away
	b.want(`document.querySelectorAll(".marks")[0].textContent + document.activeElement.dataset.mark`, "♡☆☆☆☆☆Rate 5")
	b.do(chromedp.KeyEvent("2"), chromedp.KeyEvent(kb.Escape))
	b.want(`[...document.querySelectorAll(".tag.mark")].map(e => e.textContent).join("|")`, "♥4★|2★")
	b.open(dir, "#state=favourites")
	b.want(`document.querySelectorAll(".pic").length + document.querySelector(".pic").getAttribute("aria-label")`, "1prompt red fox at dawn, cfg 1, sampler euler, seed 42, done, favourite, rated 4")
	b.do(selectOption("state", ""), selectOption("rows", ""), selectOption("cols", ""), selectOption("pages", ""), selectOption("sort", "rating"))
	b.want(`[...document.querySelectorAll(".pic")].slice(0, 3).map(e => e.dataset.id.slice(-1)).join("")`, "123")

	b.eval(`(() => { const real = URL.createObjectURL; URL.createObjectURL = blob => { blob.text().then(s => { window.exported = s; }); return real.call(URL, blob); };
		HTMLAnchorElement.prototype.click = function () { window.exportedAs = this.download; }; })()`)
	b.do(chromedp.Click(chromedp.CSS("#marks")))
	b.want(`window.exportedAs`, "fox-sweep-marks.json")
	b.want(`(e => [e.name, e.plan, e.marks.length, e.marks[0].favourite, e.marks[0].rating, e.marks[0].seed, (e.marks[0].files || [])[0], e.marks[1].rating].join())(JSON.parse(window.exported || "{\"marks\":[{},{}]}"))`,
		"fox-sweep,5f1d2c,2,true,4,42,images/red fox at dawn/0000.png,2")
}

// TestGalleryCommand shows the command line of a cell, quoted for a shell.
func TestGalleryCommand(t *testing.T) {
	b, _ := openSample(t, GalleryOptions{}, "#open=0000000000000001")
	b.want(`document.querySelector("#info .cmd").textContent`, "comfyc render flux.json --set 3.steps=20 --set '41.clip_l=a red fox crossing a frozen river at dawn, soft light, 35mm photograph' --set 3.cfg=1 --set 3.sampler_name=euler --set 3.seed=42")
	b.want(`document.querySelector("#info .cmd").closest("section").querySelector("button").getAttribute("aria-label")`, "Copy command line")
	b.eval(`window.printed = 0, window.print = () => { window.printed++; }`)
	b.do(chromedp.KeyEvent(kb.Escape), chromedp.Click(chromedp.CSS("#print")))
	b.want(`window.printed`, "1")
}

// TestGalleryTheme overrides parts of the page; the policy follows them.
func TestGalleryTheme(t *testing.T) {
	theme := fstest.MapFS{"extra.css": {Data: []byte("body { background: rgb(1, 2, 3); }")}}
	b, _ := openSample(t, GalleryOptions{Theme: theme}, "")
	b.want(`getComputedStyle(document.body).backgroundColor + document.querySelectorAll(".pic").length`, "rgb(1, 2, 3)18")

	m := small()
	for name, c := range map[string]struct {
		theme fstest.MapFS
		want  string // in the page, or in the error after "error: "
	}{
		"page":  {fstest.MapFS{"page.html": {Data: []byte("<p>{{.Title}}</p>")}}, "<p>Foxes"},
		"none":  {fstest.MapFS{}, "<!doctype html>"},
		"close": {fstest.MapFS{"page.js": {Data: []byte("'</SCRIPT>'")}}, "error: closing tag"},
		"large": {fstest.MapFS{"page.css": {Data: make([]byte, maxThemeFile+1)}}, "error: larger than"},
		"bad":   {fstest.MapFS{"page.html": {Data: []byte("{{.Nothing}}")}}, "error: Nothing"},
	} {
		var page strings.Builder
		err := Gallery(&page, m, GalleryOptions{Theme: c.theme})
		if err != nil {
			page.WriteString(fmt.Sprint("error: ", err))
		}
		want, failing := strings.CutPrefix(c.want, "error: ")
		if failing != (err != nil) || !strings.Contains(page.String(), want) {
			t.Errorf("%s: %v, %.80s", name, err, page.String())
		}
	}
}
