package service

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
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
	ctx, cancel = context.WithTimeout(ctx, 4*time.Minute)
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
	if file := os.Getenv("COMFYC_SCREENSHOT"); file != "" {
		picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
		if err == nil {
			err = os.WriteFile(file, picture, 0o644)
		}
		if err != nil {
			t.Error(err)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.trouble {
		t.Error(s)
	}
}
