// Whose key goes where. A batch may come from a stranger with an endpoints file beside it, and could send
// any key of the user to any host. So a key goes to its own platform, or to where the user's own
// configuration or a flag sends it; all else is refused before anything is sent.

package compiler

import (
	"net"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// platforms lists the keys that go to the platforms' own hosts without being configured.
var platforms = []struct{ key, domain string }{
	{"NOVITA_API_KEY", "novita.ai"},
	{"RUNPOD_API_KEY", "runpod.ai"},
}

// platformKey names the key that belongs to a URL's host; "" if none does. A key is never meant for a
// host that is not the platform's, or that is spoken to without TLS. Subdomains count: async.novita.ai,
// but not notnovita.ai.
func platformKey(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" {
		return ""
	}
	for _, p := range platforms {
		if within := "." + p.domain; strings.HasSuffix("."+strings.ToLower(u.Hostname()), within) {
			return p.key
		}
	}
	return ""
}

// checkKey holds that a key may go where the configuration sends it, and that it is there. A key's value is looked at only to tell whether it
// is empty, and is never part of a finding.
func (c *compilation) checkKey(e EndpointConfig, written *source.Value) {
	c.checkKeyFor(e, written, c.src.Run)
}

// checkKeyFor says whether a missing key is an error. The place is that of key_file, key_env or type, the
// last of them that is written.
func (c *compilation) checkKeyFor(e EndpointConfig, written *source.Value, must bool) {
	c.checkBucket(e, written, must)
	secret, at := e.KeyEnv, diag.Of(written)
	if e.KeyFile != "" {
		secret = e.KeyFile
	}
	for _, key := range []string{"type", "key_env", "key_file"} {
		if v := written.Get(key); v != nil {
			at = diag.Of(v)
		}
	}
	if secret == "" {
		return
	}
	u, err := url.Parse(e.URL)
	if err != nil || u.Host == "" {
		return // said already
	}
	host := strings.ToLower(u.Hostname())
	if platformKey(e.URL) != e.KeyEnv && !e.FromUser && !c.allowed(secret, host) {
		c.list.Add(diag.Errorf("key_not_allowed", at, "endpoint %s would send the key %s to %s, and this configuration is not your own", e.Name, secret, host).
			Hinted("allow it with --allow-key " + secret + "=" + host + ", or move the endpoint into your own configuration"))
		return
	}
	if u.Scheme == "http" && !loopback(host) { // a warning: it is the user's own network, and the choice was made
		c.list.Add(diag.Warnf("key_in_clear", at, "endpoint %s sends the key %s to %s without TLS", e.Name, secret, host))
	}
	c.haveKey(e, at, must)
}

// haveKey says that a key is missing: an error if it must be there.
func (c *compilation) haveKey(e EndpointConfig, at diag.Place, must bool) {
	make := diag.Warnf
	if must {
		make = diag.Errorf
	}
	if e.KeyFile != "" {
		if info, err := os.Stat(e.KeyFile); err != nil || info.Size() == 0 {
			c.list.Add(make("missing_key", at, "endpoint %s needs a key, and the file %s does not exist or is empty", e.Name, e.KeyFile))
		}
		return
	}
	if !c.isSet(e.KeyEnv) {
		c.list.Add(make("missing_key", at, "endpoint %s needs a key, and the environment variable %s is not set", e.Name, e.KeyEnv).
			Hinted("export " + e.KeyEnv + "=… before the command"))
	}
}

// isSet tells whether a variable of the environment holds anything.
func (c *compilation) isSet(name string) bool {
	lookup := c.src.Env
	if lookup == nil {
		lookup = os.LookupEnv
	}
	value, ok := lookup(name)
	return ok && strings.TrimSpace(value) != ""
}

// allowed tells whether the command line lets a key go to a host.
func (c *compilation) allowed(secret, host string) bool {
	return slices.Contains(c.src.AllowKeys, secret+"="+host)
}

// loopback tells hosts that never leave this machine, to which a key may go in clear.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
