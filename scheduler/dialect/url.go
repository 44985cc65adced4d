// Where an endpoint is if its configuration has no url. The variables are those that the platforms' own SDKs and their examples read,
// so that whoever has run one of those needs to set nothing.

package dialect

import (
	"net/url"

	"github.com/comfyc/comfyc/scheduler/dialect/comfyui"
	"github.com/comfyc/comfyc/scheduler/dialect/novita"
	"github.com/comfyc/comfyc/scheduler/dialect/runpod"
)

// novitaURL composes an endpoint's name as Novita does: "<id>-<app>", or the id.
func novitaURL(getenv func(string) string) string {
	id, app := getenv("NOVITA_ENDPOINT_ID"), getenv("NOVITA_APP_NAME")
	if id == "" {
		return ""
	}
	if app != "" {
		id += "-" + app
	}
	return novita.Base + "/" + url.PathEscape(id)
}

// runpodURL makes an endpoint's address of its id.
func runpodURL(getenv func(string) string) string {
	id := getenv("RUNPOD_ENDPOINT_ID")
	if id == "" {
		return ""
	}
	return runpod.Base + "/" + url.PathEscape(id)
}

// comfyuiURL is this machine's own server.
func comfyuiURL(func(string) string) string { return comfyui.Base }

// noURL is for services that anybody may run anywhere.
func noURL(func(string) string) string { return "" }

// previewURL is where the in-memory emulator is; the name never reaches a network, and should it do so by a mistake, .invalid is
// guaranteed not to resolve (RFC 2606).
func previewURL(func(string) string) string { return "http://preview.comfyc.invalid/v1/preview" }

// urlAdvice says how to give a URL.
func urlAdvice(name string) string {
	switch name {
	case "novita":
		return "; write one, or set NOVITA_ENDPOINT_ID"
	case "runpod":
		return "; write one, or set RUNPOD_ENDPOINT_ID"
	}
	return ""
}
