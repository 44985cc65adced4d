package render

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestGalleryTable shows cells as rows with what they took, sorts them by a heading, and opens them.
func TestGalleryTable(t *testing.T) {
	b, dir := openSample(t, GalleryOptions{}, "#pages=&view=table")
	b.want(`document.querySelectorAll(".table .row:not(.head)").length + document.querySelector("#grid").getAttribute("aria-rowcount")`, "5455")
	b.want(`[...document.querySelectorAll(".head .td")].map(e => e.textContent).join("|")`, "picture|#|state|prompt|cfg|sampler|seed|time|cost|endpoint|GPU|tries|marks")
	const firsts = `[...document.querySelectorAll(".table .row:not(.head)")].slice(0, 3).map(r => r.children[1].textContent).join(" ")`
	b.want(firsts, "0 1 2")
	b.do(chromedp.Click(chromedp.CSS(`.head .td:nth-child(9) button`))) // cost, the dearest first
	b.want(`document.querySelector(".head .td:nth-child(9)").getAttribute("aria-sort") + " " + `+firsts, "descending 12 13 14")
	b.do(chromedp.Click(chromedp.CSS(`.head .td:nth-child(9) button`)))
	b.want(`document.querySelector(".head .td:nth-child(9)").getAttribute("aria-sort") + " " + document.querySelector("#sort").value`, "ascending ")
	b.do(chromedp.Click(chromedp.CSS(`.head .td:nth-child(9) button`)))
	b.want(firsts, "0 1 2")
	b.want(`document.querySelector(".row.failed .state").textContent + document.querySelector(".row.failed .state").title.includes("out of memory")`, "Failedtrue")
	saveShot(t, b, "table.png")
	b.do(chromedp.Click(chromedp.CSS(`.pic`)), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowRight))
	b.want(chips, "red fox at dawn|1|dpmpp_2m|42")
	b.do(chromedp.KeyEvent("f"), chromedp.KeyEvent(kb.Escape))
	b.want(`document.activeElement.dataset.id + document.activeElement.closest(".row").lastChild.textContent`, "0000000000000003♥ ")
	b.do(selectOption("view-as", ""))
	b.want(`document.querySelectorAll(".rowh").length + location.hash`, "3#pages=")
	b.open(dir, "#q="+`prompt%3D%22blue fox, watercolour%22 cfg%3D5`+"&pages=&rows=&cols=")
	b.want(`document.querySelectorAll(".pic").length`, "6")
	b.do(chromedp.Click(chromedp.CSS(`.pic`)), chromedp.Click(chromedp.CSS(`.chip:nth-child(3)`)))
	b.want(`document.querySelector("#q").value + document.querySelectorAll(".pic").length`, `prompt="blue fox, watercolour" cfg=5 sampler=euler2`)
}

// TestGalleryWorkflow gives a cell's graph with its own values, no digit of a seed lost, and the commands that try a cell again.
func TestGalleryWorkflow(t *testing.T) {
	b, dir := newBrowser(t, 1400, 1000), t.TempDir()
	m := sampleManifest(t, dir)
	m.Retry, m.Resubmit = "comfyc render foxes.yaml --retry-failed", "comfyc render foxes.yaml --resubmit-uncertain"
	m.Graphs = []Graph{{{ID: "3", Class: "KSampler", Title: "Sampler", Inputs: [][2]string{{"seed", "0"}, {"cfg", "1"}, {"sampler_name", `"x"`}, {"model", `["4",0]`}}},
		{ID: "41", Class: "CLIPTextEncodeFlux", Inputs: [][2]string{{"clip_l", `""`}, {"t5xxl", `"old"`}}}}}
	for i := range m.Axes {
		for k, v := range m.Axes[i].Values {
			if m.Axes[i].Name == "seed" || m.Axes[i].Name == "cfg" {
				m.Axes[i].Values[k].JSON = v.Label
			}
		}
	}
	m.Cells[1].Set = []GraphValue{{"41", "t5xxl", `"new \"text\""`}}
	if err := m.WriteRun(dir, GalleryOptions{NoSheet: true}); err != nil {
		t.Fatal(err)
	}
	b.open(dir, "#open=0000000000000002")
	b.eval(`(() => { const real = URL.createObjectURL; URL.createObjectURL = blob => { blob.text().then(s => { window.exported = s; }); return real.call(URL, blob); };
		HTMLAnchorElement.prototype.click = function () { window.exportedAs = this.download; }; })()`)
	b.eval(`[...document.querySelectorAll("#info .links button")].find(e => e.textContent === "Workflow").click()`)
	b.want(`window.exportedAs`, "fox-sweep-1.json")
	b.want(`window.exported !== undefined`, "true")
	var got map[string]any
	text := b.eval(`window.exported`)
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	want := `{"3":{"_meta":{"title":"Sampler"},"class_type":"KSampler","inputs":{"cfg":1,"model":["4",0],"sampler_name":"euler","seed":18446744073709551615}},` +
		`"41":{"class_type":"CLIPTextEncodeFlux","inputs":{"clip_l":"a red fox crossing a frozen river at dawn, soft light, 35mm photograph","t5xxl":"new \"text\""}}}`
	var exact map[string]json.RawMessage
	_ = json.Unmarshal([]byte(text), &exact)
	if !jsonEqual(t, text, want) {
		t.Errorf("graph %s", text)
	}
	b.open(dir, "#open=0000000000000004")
	b.want(`document.querySelector("#info .again").textContent + document.querySelector("#media h2").textContent`, "comfyc render foxes.yaml --retry-failedFailed")
	b.open(dir, "#page=red+fox+at+dawn&open=000000000000000b")
	b.want(`document.querySelector("#info .again").textContent`, "comfyc render foxes.yaml --resubmit-uncertain")
}

// jsonEqual compares two texts of JSON, numbers by their digits.
func jsonEqual(t *testing.T, a, b string) bool {
	t.Helper()
	norm := func(text string) string {
		g, err := ParseGraph([]byte(text))
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		for i := range g {
			for k := range g[i].Inputs {
				for j := k + 1; j < len(g[i].Inputs); j++ {
					if g[i].Inputs[j][0] < g[i].Inputs[k][0] {
						g[i].Inputs[j], g[i].Inputs[k] = g[i].Inputs[k], g[i].Inputs[j]
					}
				}
			}
		}
		out, _ := json.Marshal(g)
		return string(out)
	}
	return norm(a) == norm(b)
}

// TestGalleryLive follows a running batch over HTTP: cells that have got further are drawn anew, the open one too, and the page stops
// asking when the batch has ended.
func TestGalleryLive(t *testing.T) {
	b, dir := newBrowser(t, 1400, 1000), t.TempDir()
	m := sampleManifest(t, dir)
	var asked atomic.Int64
	files := http.FileServer(http.Dir(dir))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/manifest.json" {
			asked.Add(1)
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	b.home = s.URL
	write := func(change func(done *Cell)) {
		t.Helper()
		change(&m.Cells[17])
		m.Tally()
		if err := m.WriteRun(dir, GalleryOptions{Live: 1, NoSheet: true}); err != nil {
			t.Fatal(err)
		}
	}
	write(func(c *Cell) { m.Running, m.Cells = true, m.Cells[:18] })
	b.do(chromedp.Navigate(s.URL + "/#open=0000000000000012&pages=&rows=&cols="))
	b.want(`document.querySelector("#livebadge").hidden + document.querySelector("#media h2").textContent`, "falseWaiting")
	write(func(c *Cell) { c.State, m.Updated = StateActive, "2026-03-01T09:15:00Z" })
	b.want(`document.querySelector("#media h2").textContent`, "Rendering")
	write(func(c *Cell) {
		c.State, c.Files, m.Running, m.Updated = StateDone, []File{savePicture(t, dir, "late", landscape(512, 512, 9, 1, 3))}, false, "2026-03-01T09:16:00Z"
	})
	b.want(`document.querySelector("#media img") && document.querySelector("#media img").naturalWidth`, "512")
	b.want(`document.querySelector("#livebadge").hidden + "" + document.querySelector('[data-id="0000000000000012"]').getAttribute("aria-label").includes(", done")`, "truetrue")
	last := asked.Load()
	b.do(chromedp.KeyEvent(kb.Escape))
	b.eval(`new Promise(done => setTimeout(done, 2500))`)
	if n := asked.Load(); last < 2 || n > last+1 {
		t.Errorf("%d questions at the end, %d later", last, n)
	}
	if _, err := os.Stat(filepath.Join(dir, "manifest.json")); err != nil {
		t.Fatal(err)
	}
}

// TestGalleryShots makes the pictures for docs/, where COMFYC_SHOTS names a folder.
func TestGalleryShots(t *testing.T) {
	if os.Getenv("COMFYC_SHOTS") == "" {
		t.Skip("NOT TESTED: screenshots, as COMFYC_SHOTS names no folder")
	}
	dir := t.TempDir()
	m := sampleManifest(t, dir)
	m.Command = "comfyc render flux.json --set 3.steps=20"
	for _, c := range []struct {
		name, theme, hash string
		wide, high        int
		set               string
	}{
		{"grid-light.png", "", "", 1400, 1000, "light"}, {"grid.png", "", "", 1400, 1000, "dark"}, {"box-dark.png", "", "#open=0000000000000005", 1400, 1000, "dark"},
		{"phone-grid.png", "", "#rows=&cols=&pages=", 390, 844, "light"}, {"phone-box.png", "", "#open=0000000000000005", 390, 844, "dark"},
		{"4k.png", "", "#pages=&rows=cfg", 3840, 2160, "dark"}, {"table-dark.png", "", "#view=table&pages=", 1400, 1000, "dark"},
		{"paper.png", "paper", "", 1400, 1000, "light"}, {"contrast.png", "contrast", "", 1400, 1000, "dark"},
	} {
		theme, err := BuiltInTheme(c.theme)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.WriteRun(dir, GalleryOptions{Theme: theme, NoSheet: true}); err != nil {
			t.Fatal(err)
		}
		b := newBrowser(t, c.wide, c.high)
		b.open(dir, c.hash)
		b.eval(`document.documentElement.dataset.theme = "` + c.set + `"`)
		waitFor(t, b, `[...document.querySelectorAll("img")].filter(i => i.getBoundingClientRect().top < innerHeight).every(i => i.complete)`)
		saveShot(t, b, c.name)
	}
}
