// The guarded dialer. An address from outside may point into the machine's own network: to a database on localhost, a router, or
// 169.254.169.254 where clouds hand out credentials. The name alone does not tell (anybody may let evil.example resolve to 127.0.0.1),
// so the decision falls on the address that is about to be dialed, after the resolver and for each redirect anew.

package call

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// NewTransport is the transport of an API, which keeps so many idle connections: the user's own configuration says where it goes, so it may be a private
// address, and proxies of the environment are honoured.
func NewTransport(connections int) *http.Transport {
	return transport(connections, (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext)
}

// dial makes a connection, as net.Dialer does.
type dial func(ctx context.Context, network, address string) (net.Conn, error)

// transport has the settings that all of ours share: HTTP/2 where it is spoken, and as many idle connections as there are calls at once,
// since net/http keeps only two otherwise.
func transport(connections int, dial dial) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dial,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    connections,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// guard opens the URLs that workers return. Each request, redirects included, goes through RoundTrip.
type guard struct {
	own     string // origin of the endpoint
	api     http.RoundTripper
	allowed map[string]bool
	open    *http.Transport // for allowed hosts
	closed  *http.Transport // refuses private addresses after the name was resolved
}

// newGuard makes the transport for outputs. The endpoint's own origin goes through api, as the calls do.
func newGuard(base *url.URL, api http.RoundTripper, hosts []string) *guard {
	g := &guard{own: origin(base), api: api, allowed: map[string]bool{}}
	for _, host := range hosts {
		// "[::1]" is "::1", as Hostname has it; with a port ("[::1]:8080") the brackets belong to it.
		if inner, ok := strings.CutPrefix(host, "["); ok && strings.HasSuffix(inner, "]") {
			host = strings.TrimSuffix(inner, "]")
		}
		g.allowed[strings.ToLower(host)] = true
	}
	g.open = NewTransport(16)
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: refusePrivate}
	g.closed = transport(16, dialer.DialContext)
	// A proxy's address would be dialed in place of the output's, and pass the check for it.
	g.closed.Proxy = nil
	for _, t := range []*http.Transport{g.open, g.closed} {
		// The API's transport has none, since a synchronous call may hold its answer back for minutes.
		t.ResponseHeaderTimeout = 30 * time.Second
	}
	return g
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(request *http.Request) (*http.Response, error) {
	u := request.URL
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil {
		return nil, fmt.Errorf("an output's address must be plain http or https")
	}
	if origin(u) == g.own {
		return g.api.RoundTrip(request)
	}
	host := strings.ToLower(u.Hostname())
	if g.allowed[host] || g.allowed[strings.ToLower(u.Host)] {
		return g.open.RoundTrip(request)
	}
	proxy, err := http.ProxyFromEnvironment(request)
	if err != nil {
		return nil, err
	}
	// With a proxy the check can only be made here, against this machine's resolver; the proxy resolves again. That gap is the price
	// of networks that let nothing out but through a proxy.
	if proxy == nil {
		return g.closed.RoundTrip(request)
	}
	if err := checkProxied(request); err != nil {
		return nil, err
	}
	return g.open.RoundTrip(request)
}

// checkProxied looks at a name that a proxy will resolve, since a dialer would see the proxy's address only. A name that does not
// resolve here is the proxy's to judge.
func checkProxied(request *http.Request) error {
	host := request.URL.Hostname()
	if ip, err := netip.ParseAddr(host); err == nil {
		return refuse(host, ip)
	}
	addresses, err := net.DefaultResolver.LookupNetIP(request.Context(), "ip", host)
	if err != nil {
		return nil
	}
	for _, ip := range addresses {
		if err := refuse(host, ip); err != nil {
			return err
		}
	}
	return nil
}

// refusePrivate is called with the address that is about to be dialed, so no later answer of a name server can change it.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("cannot read the address to dial: %w", err)
	}
	return refuse(to.Addr().String(), to.Addr())
}

// refuse is the one place that decides about an address.
func refuse(host string, ip netip.Addr) error {
	if !Private(ip) {
		return nil
	}
	return &PrivateError{Host: host}
}

// PrivateError refuses an output's address.
type PrivateError struct{ Host string }

// Error says what to do about it.
func (e *PrivateError) Error() string {
	return "the output's address " + e.Host + " is private; name its host in the endpoint's allow_hosts if it is yours"
}

// reserved are the ranges besides those that net/netip knows which are not the public internet, or which carry an IPv4 address that
// may be private: RFC 6890, 6598, 6052, 3056, 4380.
var reserved = []netip.Prefix{
	// "This network": Linux takes 0.0.0.0 for localhost.
	netip.MustParsePrefix("0.0.0.0/8"),
	// Carrier-grade NAT, which overlay networks such as Tailscale use too.
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("240.0.0.0/4"),
	// NAT64 (both lines), Teredo and 6to4 carry an IPv4 address inside; it is not unpacked, all of them are refused.
	netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("2001::/32"),
	netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("fec0::/10"),
}

// Private tells whether an address lies outside the public internet: loopback, private, link-local (where clouds keep their metadata),
// shared, multicast, or reserved.
func Private(ip netip.Addr) bool {
	// ::ffff:127.0.0.1 is 127.0.0.1, and a zone ("fe80::1%eth0") would keep prefixes from matching.
	ip = ip.Unmap().WithZone("")
	if !ip.IsValid() || !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return true
	}
	for _, p := range reserved {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}
