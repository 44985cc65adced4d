package web

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"
)

// Guard decides from a request's header alone whether it may come from where it says. It never changes.
// Browsers can be made to send any request to a local address; what they cannot forge are these headers.
type Guard struct {
	Loopback bool           // the listener's address is loopback: hosts must be, too
	Hosts    []string       // names that the service is reached under, without ports; nil means any, if it is not Loopback
	Origins  []string       // other sites ("https://app.example.com") whose pages may call the API; none by default
	Proxies  []netip.Prefix // whose X-Forwarded-* are believed
}

// refusal says why a request is refused; nil if it is not.
// Code and detail are for the answer; a refused request reaches no handler.
type refusal struct {
	status       int
	code, detail string
}

// check looks at Host, Origin and Sec-Fetch-Site.
// No Host that is known: 403 (DNS rebinding). A foreign Origin: 403. Programs send neither Origin nor Sec-Fetch-Site and are
// let through to the keys.
func (g *Guard) check(ctx *fasthttp.RequestCtx) *refusal {
	h := &ctx.Request.Header
	host := g.host(ctx)
	if !g.known(host) {
		return &refusal{403, "host_not_allowed", "this service does not answer under the name in the Host header"}
	}
	if origin := string(h.Peek("Origin")); origin != "" && !g.same(origin, host) && !slices.Contains(g.Origins, origin) {
		return &refusal{403, "origin_not_allowed", "pages of other sites may not call this service"}
	} else if origin != "" {
		return nil // of this site, or of an allowed one
	}
	// An Origin is sent with every request that changes something, so the next header is for those without one.
	switch site := string(h.Peek("Sec-Fetch-Site")); site {
	case "", "same-origin", "none":
		return nil
	default: // a link on another site may lead to the page, and nowhere else
		navigates := ctx.IsGet() && string(h.Peek("Sec-Fetch-Mode")) == "navigate" && string(h.Peek("Sec-Fetch-Dest")) == "document" && string(ctx.Path()) == "/"
		if navigates {
			return nil
		}
		return &refusal{403, "origin_not_allowed", "pages of other sites may not call this service"}
	}
}

// host gives the name under which the client reached the service.
// Behind a trusted proxy it is the name that the client asked the proxy for.
func (g *Guard) host(ctx *fasthttp.RequestCtx) string {
	if g.trusted(ctx) {
		if forwarded := first(ctx.Request.Header.Peek("X-Forwarded-Host")); forwarded != "" {
			return forwarded
		}
	}
	return string(ctx.Request.Header.Host())
}

// secure tells whether the client came over TLS.
func (g *Guard) secure(ctx *fasthttp.RequestCtx) bool {
	return ctx.IsTLS() || g.trusted(ctx) && first(ctx.Request.Header.Peek("X-Forwarded-Proto")) == "https"
}

// client gives the client's address, for the log.
// Nothing is decided by it: behind an unknown proxy it is the proxy's address.
func (g *Guard) client(ctx *fasthttp.RequestCtx) string {
	if g.trusted(ctx) {
		if ip, err := netip.ParseAddr(first(ctx.Request.Header.Peek("X-Forwarded-For"))); err == nil {
			return ip.String()
		}
	}
	return ctx.RemoteIP().String()
}

// trusted tells whether the connection comes from a proxy of the configuration. Nobody else's X-Forwarded-* are looked at.
// IPv4 in IPv6 form is compared as IPv4.
func (g *Guard) trusted(ctx *fasthttp.RequestCtx) bool {
	if len(g.Proxies) == 0 {
		return false
	}
	ip, ok := netip.AddrFromSlice(ctx.RemoteIP())
	return ok && slices.ContainsFunc(g.Proxies, func(p netip.Prefix) bool { return p.Contains(ip.Unmap()) })
}

// first gives the first of a list of forwarded values.
// The client's own value stands first; proxies add theirs behind it.
func first(value []byte) string {
	v, _, _ := strings.Cut(string(value), ",")
	return strings.TrimSpace(v)
}

// known tells whether the service answers under a name.
// On loopback only loopback names and the configured ones; elsewhere the configured ones, or all if none are.
func (g *Guard) known(host string) bool {
	name := bare(host)
	if name == "" {
		return false
	}
	if len(g.Hosts) > 0 && slices.Contains(g.Hosts, name) {
		return true
	}
	if g.Loopback {
		ip, err := netip.ParseAddr(name)
		return name == "localhost" || strings.HasSuffix(name, ".localhost") || err == nil && ip.IsLoopback()
	}
	return len(g.Hosts) == 0
}

// bare cuts the port off, and the brackets of an IPv6 address.
// A dot at the end is taken off: "localhost." is the same name.
func bare(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

// same tells whether an Origin header names the host itself.
// The scheme is not compared: behind a proxy that ends TLS the service does not know it.
func (g *Guard) same(origin, host string) bool {
	_, name, ok := strings.Cut(origin, "://")
	return ok && strings.EqualFold(name, host)
}

// browser tells whether a request says that a web page made it.
// Any one of the headers is enough; programs send none of them.
func browser(h *fasthttp.RequestHeader) bool {
	return len(h.Peek("Origin")) > 0 || len(h.Peek("Sec-Fetch-Site")) > 0 || len(h.Peek("Sec-Fetch-Mode")) > 0
}
