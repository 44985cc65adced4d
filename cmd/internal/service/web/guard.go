package web

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"
)

// Guard decides from a request's header alone whether it may come from where it says. It never changes.
type Guard struct {
	Loopback bool           // the listener's address is loopback: hosts must be, too
	Hosts    []string       // names that the service is reached under, without ports; nil means any, if it is not Loopback
	Origins  []string       // other sites ("https://app.example.com") whose pages may call the API; none by default
	Proxies  []netip.Prefix // whose X-Forwarded-* are believed
}

// refusal says why a request is refused; nil if it is not.
type refusal struct {
	status       int
	code, detail string
}

// check looks at Host, Origin and Sec-Fetch-Site.
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
func (g *Guard) client(ctx *fasthttp.RequestCtx) string {
	if g.trusted(ctx) {
		if ip, err := netip.ParseAddr(first(ctx.Request.Header.Peek("X-Forwarded-For"))); err == nil {
			return ip.String()
		}
	}
	return ctx.RemoteIP().String()
}

// trusted tells whether the connection comes from a proxy of the configuration. Nobody else's X-Forwarded-* are looked at.
func (g *Guard) trusted(ctx *fasthttp.RequestCtx) bool {
	if len(g.Proxies) == 0 {
		return false
	}
	ip, ok := netip.AddrFromSlice(ctx.RemoteIP())
	return ok && slices.ContainsFunc(g.Proxies, func(p netip.Prefix) bool { return p.Contains(ip.Unmap()) })
}

// first gives the first of a list of forwarded values.
func first(value []byte) string {
	v, _, _ := strings.Cut(string(value), ",")
	return strings.TrimSpace(v)
}

// known tells whether the service answers under a name.
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
func bare(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

// same tells whether an Origin header names the host itself.
func (g *Guard) same(origin, host string) bool {
	_, name, ok := strings.Cut(origin, "://")
	return ok && strings.EqualFold(name, host)
}

// browser tells whether a request says that a web page made it.
func browser(h *fasthttp.RequestHeader) bool {
	return len(h.Peek("Origin")) > 0 || len(h.Peek("Sec-Fetch-Site")) > 0 || len(h.Peek("Sec-Fetch-Mode")) > 0
}
