package render

import (
	"os"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestGalleryAccessible runs axe-core over the page's states, where COMFYC_AXE names its
// axe.min.js (npm install axe-core): no finding may be serious or critical.
func TestGalleryAccessible(t *testing.T) {
	path := os.Getenv("COMFYC_AXE")
	if path == "" {
		t.Skip("NOT TESTED: the gallery by axe-core, as COMFYC_AXE does not name its axe.min.js")
	}
	axe, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b, dir := openSample(t, GalleryOptions{}, "")
	for _, c := range []struct {
		state, hash string
		keys        []string
	}{
		{"grid", "", nil},
		{"flow", "#rows=&cols=&pages=", nil},
		{"table", "#view=table&pages=", nil},
		{"lightbox", "#open=0000000000000001", []string{"f", "3"}},
		{"failed cell", "#open=0000000000000004", nil},
		{"compare", "#open=0000000000000001", []string{"p", "next", "m"}},
	} {
		for _, theme := range []string{"light", "dark"} {
			b.open(dir, c.hash)
			b.eval(`document.documentElement.dataset.theme = "` + theme + `"`)
			for _, k := range c.keys {
				if k == "next" {
					b.eval(`document.querySelector("#next").click()`)
					continue
				}
				b.do(chromedp.KeyEvent(k))
			}
			b.eval("(() => {" + string(axe) + "; return 0; })()")
			got, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`axe.run().then(r => r.violations.filter(v => ["serious", "critical"].includes(v.impact))
				.map(v => v.id + ": " + v.help + " " + v.nodes.slice(0, 3).map(n => n.target + " " + n.html.slice(0, 160) + " " + n.failureSummary.slice(0, 200)).join(" | ")).join("\n"))`, chromedp.EvalAwaitPromise))
			if err != nil {
				t.Fatal(err)
			}
			if got != "" {
				t.Errorf("%s, %s:\n%s", c.state, theme, got)
			}
		}
	}
}
