package service

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
)

// tab is a headless Chromium that collects exceptions, refusals of the page's policy, and requests to other hosts.
type tab struct {
	t    *testing.T
	ctx  context.Context
	home string

	mu      sync.Mutex
	trouble []string
}

func newTab(t *testing.T, home string) *tab {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no browser is started")
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("SKIPPED: the page in a browser, as no chromium is installed (apt-get install chromium)")
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("window-size", "1280,900"))...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 15*time.Minute) // only bounds a hang
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx, home: home}
	b.do(func(ctx context.Context, t *chromedp.Target) (v chromedp.Void, err error) {
		if _, err = cdp.Call(ctx, t, log.Enable, cdp.Empty{}); err == nil {
			_, err = cdp.Call(ctx, t, network.Enable, network.EnableParams{})
		}
		return v, err
	})
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *tab) listen(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		b.trouble = append(b.trouble, fmt.Sprintf("exception: %s %+v", ev.ExceptionDetails.Text, ev.ExceptionDetails.Exception))
	case *log.EventEntryAdded:
		if !strings.Contains(ev.Entry.Text, "status of 4") { // answers that the page shows: 401 before the login, 422 for a text that is being typed
			b.trouble = append(b.trouble, "log: "+ev.Entry.Text)
		}
	case *network.EventRequestWillBeSent:
		if u := ev.Request.URL; !strings.HasPrefix(u, b.home) && !strings.HasPrefix(u, "about:") && !strings.HasPrefix(u, "data:") {
			b.trouble = append(b.trouble, "request to "+u)
		}
	}
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// eval gives the value of an expression in the page as text.
func (b *tab) eval(expression string) string {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("String(("+expression+"))"))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

func (b *tab) until(what, expression string) {
	b.t.Helper()
	eventually(b.t, what, func() bool { return b.eval(expression) == "true" })
}

func TestThePageInABrowser(t *testing.T) {
	c := serve(t, Options{Listen: loopbackListen})
	key := c.addKey(keys.Limits{Scopes: []keys.Scope{keys.Admin}})
	b := newTab(t, c.base)
	b.do(chromedp.Navigate(c.base + "/"))
	b.until("the login is asked for", `document.getElementById('login').open`)
	b.eval(fmt.Sprintf(`document.getElementById('key').value = %q, document.querySelector('#login-form button').click()`, key))
	b.until("the page knows who asks", `document.getElementById('who').textContent.includes('test')`)
	b.until("the endpoints are shown", `document.querySelectorAll('#endpoints .card').length > 0`)
	type_ := func(text string) {
		b.eval(fmt.Sprintf(`(() => { const t = document.getElementById('text'); t.value = %q; t.dispatchEvent(new Event('input')); })()`, text))
	}
	b.eval(`document.getElementById('new').click()`)
	type_("version: 1\nworkflow: nothing.json\n<b>x</b>: 1\n")
	b.until("findings are shown", `document.querySelectorAll('#findings .bad').length > 0 && document.getElementById('send').disabled`)
	type_(`{"version": 1, "name": "from <i>the</i> page", "workflow": ` + fmt.Sprintf(emptyImage, 7) + `, "sweep": {"matrix": {"1.color": {"from": 1, "count": 3}}}}`)
	b.until("a good batch can be sent", `!document.getElementById('send').disabled && document.getElementById('verdict').textContent.includes('renders')`)
	b.eval(`document.getElementById('send').click()`)
	b.until("it is done", `document.querySelector('.batch .state')?.textContent === 'done'`)
	b.until("its pictures are shown", `document.querySelectorAll('.batch .thumbs img').length === 3 && [...document.querySelectorAll('.thumbs img')].every(i => i.naturalWidth > 0 || i.loading === 'lazy')`)
	if b.eval(`document.querySelector('.batch h3').innerHTML`) != "from &lt;i&gt;the&lt;/i&gt; page" {
		t.Error("a name became markup")
	}
	b.quiet()
}

// quiet holds that nothing went wrong in the page: no exception, nothing that its policy refused, no request to elsewhere.
func (b *tab) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.trouble {
		b.t.Error(s)
	}
}

// picture keeps what is seen as a file, if somebody wants to look at it: COMFYC_SCREENSHOT is its folder.
func (b *tab) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("COMFYC_SCREENSHOT")
	if dir == "" {
		return
	}
	picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name), picture, 0o644)
	}
	if err != nil {
		b.t.Error(err)
	}
}

// sampled is a workflow whose pictures a preview endpoint draws.
func sampled(seed int, prompt string) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"1":{"class_type":"CheckpointLoaderSimple","inputs":{"ckpt_name":"flux1-dev-fp8.safetensors"}},"2":{"class_type":"CLIPTextEncode","inputs":{"clip":["1",1],"text":%q}},
		"3":{"class_type":"EmptyLatentImage","inputs":{"width":384,"height":288,"batch_size":1}},"4":{"class_type":"KSampler","inputs":{"model":["1",0],"positive":["2",0],"negative":["2",0],"latent_image":["3",0],
		"seed":%d,"steps":4,"cfg":1,"sampler_name":"euler","scheduler":"simple","denoise":1}},"5":{"class_type":"VAEDecode","inputs":{"samples":["4",0],"vae":["1",2]}},"6":{"class_type":"SaveImage","inputs":{"images":["5",0],"filename_prefix":"fox"}}}`, prompt, seed))
}

// Cancel and retry are buttons that work; errors are shown; the filter hides what was not asked for. Nothing of it breaks the page's policy.
func TestCancelAndRetryOnThePage(t *testing.T) {
	file, ends := slowEndpoint(t, t.TempDir(), `endpoints:
  novita-4090: {type: preview, gpu: rtx4090, price: {usd_per_second: 0.00031}, limits: {in_flight: 8}}
  h100: {type: preview, gpu: h100, price: {usd_per_second: 0.00116}, limits: {in_flight: 4}, emulator: {execution: 10h}}
  broken: {type: preview, gpu: rtx4090, emulator: {faults: [{kind: failed, rate: 1, message: "CUDA error: an illegal memory access was encountered"}]}}
`)
	c := serve(t, Options{EndpointsFile: file, Endpoints: ends, Listen: loopbackListen})
	b := newTab(t, c.base)
	batch := func(name, endpoint string, n int) string {
		return c.want(202, "POST", "/api/v1/batches", map[string]any{"version": 1, "name": name, "endpoints": []string{endpoint}, "workflow": sampled(1, name), "schedule": map[string]any{"retries": 0},
			"sweep": map[string]any{"matrix": map[string]any{"KSampler.seed": map[string]any{"from": 1, "count": n}}}}, nil)["id"].(string)
	}
	c.ended(batch("red foxes at dawn", "novita-4090", 8))
	failed, slow := batch("a model that breaks", "broken", 2), batch("studies in blue", "h100", 12)
	c.ended(failed)
	state := func(id string) string {
		return fmt.Sprintf(`document.querySelector('#b-%s .state')?.textContent`, id)
	}
	click := func(id, name string) {
		b.until(name+" is there", fmt.Sprintf(`[...document.querySelectorAll('#b-%s button')].some(x => x.textContent === %q)`, id, name))
		b.eval(fmt.Sprintf(`[...document.querySelectorAll('#b-%s button')].find(x => x.textContent === %q).click()`, id, name))
	}
	b.do(chromedp.Navigate(c.base + "/"))
	b.until("the slow one runs", state(slow)+` === 'running'`)
	b.until("the errors are shown", fmt.Sprintf(`document.querySelectorAll('#b-%s .trouble').length === 2 && document.querySelector('#b-%s .trouble').textContent.includes('illegal memory access')`, failed, failed))
	b.until("pictures are shown", `[...document.querySelectorAll('.thumbs img')].filter(i => i.naturalWidth > 0).length >= 8`)
	b.picture("page-light.png")
	b.do(chromedp.Navigate("about:blank")) // the scheme is chosen anew with the next page
	b.do(dark)
	b.do(chromedp.Navigate(c.base + "/"))
	b.until("the slow one runs", state(slow)+` === 'running'`)
	b.until("pictures are shown", `[...document.querySelectorAll('.thumbs img')].filter(i => i.naturalWidth > 0).length >= 8`)
	if b.eval(`getComputedStyle(document.body).backgroundColor`) == "rgb(246, 245, 242)" {
		t.Error("the dark scheme is light")
	}
	b.picture("page-dark.png")
	b.eval(`document.querySelector('[data-show=trouble]').click()`)
	if n := b.eval(`[...document.querySelectorAll('.batch')].filter(e => !e.hidden).length`); n != "1" {
		t.Errorf("%s batches are in trouble", n)
	}
	b.eval(`document.querySelector('[data-show=""]').click()`)
	click(slow, "Cancel")
	b.until("it is cancelled", state(slow)+` === 'cancelled'`)
	if s := c.want(200, "GET", "/api/v1/batches/"+slow, nil, nil)["state"]; s != "cancelled" {
		t.Errorf("cancelled on the page, %v in truth", s)
	}
	click(slow, "Retry")
	b.until("it runs again", state(slow)+` === 'running'`)
	click(slow, "Cancel")
	b.until("it is cancelled again", state(slow)+` === 'cancelled'`)
	b.eval(`document.getElementById('new').click()`)
	b.until("the form is checked", `document.querySelectorAll('#findings .bad').length > 0`)
	b.picture("page-form.png")
	b.quiet()
}

// dark makes the browser prefer dark pages.
func dark(ctx context.Context, t *chromedp.Target) (v chromedp.Void, err error) {
	_, err = cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}})
	return v, err
}
