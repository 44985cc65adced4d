// Package page is the service's page at /: batches live, progress, money, endpoints and queue, errors, cancel and retry, and a form to submit
// with findings as one types. It is three static files without a build step, which ask /api/v1 for everything; nothing is loaded from
// anywhere else, and the policy lets no script or style run but these.
package page

import (
	"embed"

	"github.com/comfyc/comfyc/cmd/internal/service/web"
)

//go:embed index.html app.css app.js
var files embed.FS

// policy is the page's Content-Security-Policy.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// Routes lists the files. They hold no secret, so that one can log in.
func Routes() []web.Route {
	serve := func(name, kind string) func(*web.Call) {
		text, err := files.ReadFile(name)
		if err != nil {
			panic("an embedded file is missing: " + name)
		}
		return func(c *web.Call) {
			c.Response.Header.Set("Content-Security-Policy", policy)
			c.Text(200, kind, text)
		}
	}
	return []web.Route{
		{Method: "GET", Path: "/", Handle: serve("index.html", "text/html; charset=utf-8")},
		{Method: "GET", Path: "/ui/app.css", Handle: serve("app.css", "text/css; charset=utf-8"), Quick: true},
		{Method: "GET", Path: "/ui/app.js", Handle: serve("app.js", "text/javascript; charset=utf-8"), Quick: true},
	}
}
