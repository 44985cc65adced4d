package render

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// browser is a page in a headless Chromium that collects everything that went wrong in
// it: exceptions, refusals of its own policy, requests to other hosts.
type browser struct {
	t   *testing.T
	ctx context.Context

	home     string // the address of a server of the test's own, which may be asked
	anything bool   // the page is not ours: what it logs and asks for is its own affair
	mu       sync.Mutex
	trouble  []string
}

// newBrowser skips the test where no Chromium is installed.
func newBrowser(t *testing.T, width, height int) *browser {
	t.Helper()
	if testing.Short() {
		t.Skip("NOT TESTED: the gallery in a browser takes long; run without -short")
	}
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil && path == "" {
			path = p
		}
	}
	if path == "" {
		t.Skip("NOT TESTED: the gallery in a browser, as no chromium is installed (apt-get install chromium)")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("window-size", fmt.Sprintf("%d,%d", width, height)))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(int64(width), int64(height))); err != nil {
		t.Fatalf("chromium does not start: %v", err)
	}
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	b.do(func(ctx context.Context, t *chromedp.Target) (v chromedp.Void, err error) {
		if _, err = cdp.Call(ctx, t, log.Enable, cdp.Empty{}); err == nil {
			_, err = cdp.Call(ctx, t, network.Enable, network.EnableParams{})
		}
		return v, err
	})
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, s := range b.trouble {
			t.Error(s)
		}
	})
	return b
}

func (b *browser) listen(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.anything {
		return
	}
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		b.trouble = append(b.trouble, fmt.Sprintf("exception: %s %+v", ev.ExceptionDetails.Text, ev.ExceptionDetails.Exception))
	case *log.EventEntryAdded:
		b.trouble = append(b.trouble, "log: "+ev.Entry.Text)
	case *network.EventRequestWillBeSent:
		if u := ev.Request.URL; !strings.HasPrefix(u, "file:") && !strings.HasPrefix(u, "data:") && !strings.HasPrefix(u, "blob:") && (b.home == "" || !strings.HasPrefix(u, b.home)) {
			b.trouble = append(b.trouble, "request to "+u)
		}
	}
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// open shows the gallery of dir with a part of the address after #.
func (b *browser) open(dir, hash string) {
	b.t.Helper()
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(dir, "index.html"))}
	b.do(chromedp.Navigate("about:blank"), chromedp.Navigate(u.String()+hash))
}

// eval gives an expression's value as text.
func (b *browser) eval(js string) string {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("String("+js+")"))
	if err != nil {
		b.t.Fatalf("%s: %v", js, err)
	}
	return v
}

// want waits until an expression has a value, for what the page does a little later.
func (b *browser) want(js, want string) {
	b.t.Helper()
	var got string
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		if got = b.eval(js); got == want {
			return
		}
	}
	b.t.Errorf("%s is %q, want %q", js, got, want)
}

// chips is the coordinates that the lightbox shows.
const chips = `[...document.querySelectorAll("#info .chip")].map(e => e.lastChild.textContent).join("|")`

func TestGalleryInBrowser(t *testing.T) {
	b := newBrowser(t, 1400, 1000)
	dir := t.TempDir()
	m := sampleManifest(t, dir)
	if err := m.WriteRun(dir, GalleryOptions{}); err != nil {
		t.Fatal(err)
	}
	b.open(dir, "")
	b.want(`document.querySelectorAll(".colh").length + " " + document.querySelectorAll(".rowh").length + " " + document.querySelectorAll(".pic").length`, "3 3 18")
	b.want(`[...document.querySelectorAll(".face img")].slice(0, 4).every(i => i.complete && i.naturalWidth === 320)`, "true")
	b.want(`document.querySelector(".note.failed").textContent.includes("out of memory")`, "true")
	b.want(`document.querySelector("#stats").textContent.includes("of 54 done")`, "true")

	// A click opens the lightbox; the arrows move along the row and down the column.
	b.do(chromedp.Click(chromedp.CSS(`.pic`)))
	b.want(chips, "red fox at dawn|1|euler|42")
	b.want(`document.querySelector("#media img").naturalWidth`, "512")
	b.want(`document.activeElement.closest("dialog") !== null`, "true")
	b.do(chromedp.KeyEvent(kb.ArrowRight))
	b.want(chips, "red fox at dawn|1|euler|18446744073709551615")
	b.do(chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowDown))
	b.want(chips, "red fox at dawn|3.5|dpmpp_2m|42")
	b.do(chromedp.KeyEvent(kb.ArrowLeft), chromedp.KeyEvent(kb.ArrowUp))
	b.want(chips, "red fox at dawn|1|euler|18446744073709551615")
	b.want(`document.querySelector("#info").textContent.includes("soft light, 35mm") && document.querySelector("#info").textContent.includes("$0.0045")`, "true")
	b.do(chromedp.KeyEvent("+"))
	b.want(`document.querySelector("#zfit").textContent`, "140 %")
	b.do(chromedp.KeyEvent("i"))
	b.want(`getComputedStyle(document.querySelector("#info")).display`, "none")
	b.do(chromedp.KeyEvent("i"), chromedp.KeyEvent(kb.Escape))
	b.want(`document.querySelector("#box").open`, "false")
	b.want(`document.activeElement.getAttribute("aria-label")`, "prompt red fox at dawn, cfg 1, sampler euler, seed 18446744073709551615, done")
	b.do(chromedp.KeyEvent(kb.ArrowDown)) // and the arrows go on in the grid
	b.want(`document.activeElement.dataset.id`, "0000000000000008")

	// Pages, pivot, filter.
	b.do(chromedp.Click(chromedp.CSS(`#tabs button:nth-child(2)`)))
	b.want(`document.querySelector('.pic').title + document.querySelectorAll('.note.failed').length`, "seed: 420")
	b.do(selectOption("rows", "prompt"))
	b.want(`[...document.querySelectorAll(".rowh")].map(e => e.textContent).join("|")`, "red fox at dawn|blue fox, watercolour|arctic fox at night")
	b.want(`document.querySelector("#pages").value + [...document.querySelectorAll("#tabs button")].length`, "cfg3")
	b.want(`location.hash.includes("rows=prompt")`, "true")
	b.do(selectOption("rows", ""), selectOption("cols", ""), selectOption("pages", ""))
	b.want(`document.querySelectorAll(".pic").length + document.querySelector("#grid").className`, "54flow")
	b.do(chromedp.SendKeys(chromedp.CSS("#q"), "watercolour HEUN"))
	b.want(`document.querySelectorAll(".pic").length`, "6")
	b.do(chromedp.SendKeys(chromedp.CSS("#q"), " nothing"))
	b.want(`document.querySelector("#none").hidden`, "false")

	// A link shows the same again, the theme can be chosen.
	b.open(dir, "#rows=sampler&cols=cfg&page=arctic+fox+at+night&open=000000000000002a")
	b.want(chips, "arctic fox at night|1|heun|18446744073709551615")
	b.do(chromedp.KeyEvent(kb.Escape), chromedp.Click(chromedp.CSS("#theme")), chromedp.Click(chromedp.CSS("#theme")))
	b.want(`getComputedStyle(document.body).backgroundColor`, "rgb(14, 15, 19)")
	saveShot(t, b, "grid-dark.png")
}

// selectOption chooses an option as a person does.
func selectOption(id, value string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](fmt.Sprintf(`(s => { s.value = %q; return s.dispatchEvent(new Event("change")); })(document.getElementById(%q))`, value, id)))
		return chromedp.Void{}, err
	}
}

// saveShot keeps a screenshot if COMFYC_SHOTS names a folder for it.
func saveShot(t *testing.T, b *browser, name string) {
	t.Helper()
	dir := os.Getenv("COMFYC_SHOTS")
	if dir == "" {
		return
	}
	shot, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), shot, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestGalleryKinds shows outputs that are no pictures, several files of a cell, hostile
// text, and a phone's width.
func TestGalleryKinds(t *testing.T) {
	b := newBrowser(t, 390, 800)
	dir := t.TempDir()
	m := small()
	m.Cells[1].Files = append(m.Cells[1].Files, savePicture(t, dir, "a b/0#1%", landscape(96, 64, 200, 2, 3)),
		File{Path: "images/s.wav", Type: "audio/wav", Kind: KindAudio, Bytes: 1000}, File{Path: "images/m.glb", Type: "model/gltf-binary", Kind: KindOther, Bytes: 10})
	m.Cells[1].Files = m.Cells[1].Files[1:]
	if err := writeFile(filepath.Join(dir, "images", "s.wav"), writeTone); err != nil {
		t.Fatal(err)
	}
	if err := m.WriteRun(dir, GalleryOptions{}); err != nil {
		t.Fatal(err)
	}
	b.open(dir, "#open=a1")
	b.want(`document.querySelector("#media pre").textContent`, "hello")
	b.want(`document.querySelectorAll("#strip button").length`, "4")
	b.do(chromedp.KeyEvent("]"))
	b.want(`document.querySelector("#media img").naturalWidth`, "96")
	b.want(`[...document.querySelectorAll("#info section p")].some(p => p.textContent.includes("<script>alert(1)</script>"))`, "true")
	b.do(chromedp.KeyEvent("]"))
	b.want(`document.querySelector("#media audio").readyState > 0`, "true")
	b.do(chromedp.KeyEvent("]"))
	b.want(`document.querySelector("#media .card h2").textContent + document.querySelector("#info a").download`, "m.glbm.glb")
	b.do(chromedp.KeyEvent(kb.Escape))
	b.want(`document.querySelector("#title").textContent`, "Foxes </script><b>&")
	b.want(`document.documentElement.scrollWidth <= innerWidth`, "true")
	b.want(`getComputedStyle(document.querySelector("#bar")).display`, "none")
	b.do(chromedp.Click(chromedp.CSS("#opts")))
	b.want(`getComputedStyle(document.querySelector("#bar")).display`, "grid")
	saveShot(t, b, "phone.png")
}

// TestGalleryLarge opens 10,000 cells and scrolls through them.
func TestGalleryLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("10,000 cells take some seconds")
	}
	b := newBrowser(t, 1400, 1000)
	dir := t.TempDir()
	f := savePicture(t, dir, "one", landscape(64, 64, 200, 2, 3))
	m := &Manifest{Version: 1, Name: "large", Axes: []Axis{{Name: "row"}, {Name: "col"}}, Gallery: Layout{Rows: "row", Cols: "col"}}
	for i := range 10_000 {
		r, c := fmt.Sprintf("r%d", i/20), fmt.Sprintf("c%d", i%20)
		if i%20 == 0 {
			m.Axes[0].Values = append(m.Axes[0].Values, AxisValue{Label: r})
		}
		if i < 20 {
			m.Axes[1].Values = append(m.Axes[1].Values, AxisValue{Label: c})
		}
		m.Cells = append(m.Cells, Cell{ID: fmt.Sprint(i), Index: i, Render: fmt.Sprint(i), State: StateDone, Coordinates: map[string]string{"row": r, "col": c},
			Files: []File{f}, Prompt: strings.Repeat("a long prompt about foxes and rivers, ", 8), Seed: fmt.Sprint(i), Seconds: 14})
	}
	m.Tally()
	if err := m.WriteRun(dir, GalleryOptions{}); err != nil {
		t.Fatal(err)
	}
	b.do(func(ctx context.Context, t *chromedp.Target) (v chromedp.Void, err error) {
		_, err = cdp.Call(ctx, t, performance.Enable, performance.EnableParams{TimeDomain: "threadTicks"})
		return v, err
	})
	b.open(dir, "")
	opened := b.work()
	paint := b.eval(`Math.round(performance.getEntriesByType("paint").find(e => e.name === "first-contentful-paint").startTime)`)
	b.want(`document.querySelectorAll(".line").length`, "500")
	longest, err := chromedp.Run(b.ctx, chromedp.Evaluate[float64](`new Promise(done => { window.tasks = [];
		new PerformanceObserver(list => { for (const e of list.getEntries()) window.tasks.push(Math.round(e.duration)); }).observe({ type: "longtask" });
		const view = document.querySelector("#view"); let last = performance.now(), worst = 0, n = 0;
		const frame = now => { worst = Math.max(worst, now - last); last = now; view.scrollTop += 900; if (++n < 120) requestAnimationFrame(frame); else done(worst); };
		requestAnimationFrame(frame); })`, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("processor time of the page: %.0f ms until it was there, %.1f ms for each of 120 steps of 900 pixels", opened*1000, (b.work()-opened)*1000/120)
	t.Logf("10,000 cells: first paint after %s ms, longest frame while scrolling %.0f ms, tasks over 50 ms [%s], %s elements", paint, longest, b.eval(`window.tasks.join(" ")`), b.eval(`document.querySelectorAll("*").length`))
	b.want(`document.querySelector("#view").scrollTop > 20000`, "true")
	b.want(`document.querySelectorAll("*").length < 12000`, "true")
	b.want(`[...document.querySelectorAll(".pic")].some(p => p.getBoundingClientRect().top > 100 && p.getBoundingClientRect().top < 900)`, "true")
}

// work is the processor time, in seconds, that the page's main thread has taken: on a busy machine the clock says little.
func (b *browser) work() float64 {
	b.t.Helper()
	var task float64
	b.do(func(ctx context.Context, t *chromedp.Target) (v chromedp.Void, err error) {
		got, err := cdp.Call(ctx, t, performance.GetMetrics, cdp.Empty{})
		if err == nil {
			for _, m := range got.Metrics {
				if m.Name == "TaskDuration" {
					task = m.Value
				}
			}
		}
		return v, err
	})
	return task
}

// writeTone writes a second of a tone as WAV.
func writeTone(w io.Writer) error {
	const rate = 8000
	head := "RIFF\x64\x1f\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00data\x40\x1f\x00\x00"
	data := make([]byte, rate)
	for i := range data {
		data[i] = byte(128 + 60*math.Sin(float64(i)*440*2*math.Pi/rate))
	}
	_, err := w.Write(append([]byte(head), data...))
	return err
}
