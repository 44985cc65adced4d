// Which key may go where. There are two ways in which a secret leaves this machine: as the bearer token of every call (mayGo), and as
// text inside of a job, for the bucket (mayTravel). Both are decided before the secret is read, so a refused one is never in memory.

package dialect

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect/jobs"
)

// maxKey bounds a key in bytes; the longest that a platform gives are tokens of some kilobytes.
const maxKey = 16 << 10

// readKey gives the endpoint's key and where it came from. No key is given where none is named. Errors name the variable or the
// file, never what is in it.
func readKey(cfg compiler.EndpointConfig, l *language, deps Deps) (key, name string, err error) {
	if cfg.Type == "preview" || cfg.KeyEnv == "" && cfg.KeyFile == "" {
		return "", "", nil
	}
	name = cfg.KeyEnv
	if name == "" {
		name = cfg.KeyFile
	}
	if err := mayGo(cfg, name, deps.AllowKeys); err != nil {
		return "", "", err
	}
	if cfg.KeyEnv != "" {
		// Trimmed, since `export KEY=$(cat file)` and editors leave line ends behind, and a line end in a header would end the header.
		if key = strings.TrimSpace(deps.Getenv(name)); key == "" {
			return "", "", noKey(cfg, "the variable %s is not set; it must hold the key of the endpoint", name)
		}
	} else {
		content, err := deps.ReadFile(name)
		if err != nil {
			return "", "", noKey(cfg, "cannot read the key: %s", err)
		}
		if key = strings.TrimSpace(string(content)); key == "" {
			return "", "", noKey(cfg, "the key file %s is empty", name)
		}
	}
	// Caught here and not by net/http, whose error would print the header's value, and with it the key.
	if len(key) > maxKey || strings.IndexFunc(key, notInKey) >= 0 {
		return "", "", noKey(cfg, "what %s holds is no key: it has spaces, line breaks or other characters that a key does not have", name)
	}
	return key, name, nil
}

// readBucket reads the keys of the endpoint's bucket; nil if none is configured. They go to the endpoint, so the rule of keys holds for them:
// they must stand in the user's own configuration, or be allowed for the endpoint's host.
func readBucket(cfg compiler.EndpointConfig, deps Deps) (*jobs.Bucket, error) {
	b := cfg.Bucket
	if b == nil {
		return nil, nil
	}
	// Only RunPod documents s3Config beside the input. Novita's workers take their bucket from variables of the endpoint's settings.
	if cfg.Type != "runpod" && cfg.Type != "serverless" {
		return nil, refuse(cfg, "an endpoint of type %s takes no bucket with its jobs; set it up in the endpoint's own settings", cfg.Type)
	}
	out := &jobs.Bucket{URL: b.URL, Name: b.Name}
	for _, secret := range []struct {
		name string
		to   *string
	}{{b.KeyEnv, &out.Key}, {b.SecretEnv, &out.Secret}} {
		if err := mayTravel(cfg, secret.name, deps.AllowKeys); err != nil {
			return nil, err
		}
		if *secret.to = strings.TrimSpace(deps.Getenv(secret.name)); *secret.to == "" {
			return nil, noKey(cfg, "the variable %s is not set; it must hold a key of the bucket", secret.name)
		}
	}
	return out, nil
}

// secrets are what of a bucket must not show.
func secrets(b *jobs.Bucket) []string {
	if b == nil {
		return nil
	}
	return []string{b.Key, b.Secret}
}

// notInKey finds what can not be in a header, and so in no key: spaces, control characters, and all beyond ASCII.
func notInKey(r rune) bool { return r <= ' ' || r > '~' }

// noKey says that nothing can be sent for want of a key.
func noKey(cfg compiler.EndpointConfig, format string, args ...any) *scheduler.Error {
	return &scheduler.Error{Kind: scheduler.Unauthorized, Endpoint: cfg.Name, Op: "open", Message: fmt.Sprintf(format, args...)}
}

// mayGo is the last gate before a key is read: a configuration that came with somebody's batch must not be able to send the user's
// keys to a host of its choice. A platform's usual variable goes to that platform, encrypted; any other pair must be the user's own
// or allowed.
func mayGo(cfg compiler.EndpointConfig, name string, allowed map[string][]string) error {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Hostname() == "" {
		return refuse(cfg, "the url is no http or https address")
	}
	host := strings.ToLower(u.Hostname())
	// A key file is never "usual": its path may be any file of the user's, /etc/shadow included, so it needs the user's word in any case.
	if u.Scheme == "https" && cfg.KeyEnv != "" && home(name, host) {
		return nil
	}
	if u.Scheme != "https" && home(name, host) {
		return noKey(cfg, "the key from %s is not sent to %s without encryption: write https", name, host)
	}
	return allowedTo(cfg, u, name, allowed)
}

// mayTravel is the gate for keys inside of a job, which reach whoever owns the endpoint: even a platform's usual variable has no home there.
func mayTravel(cfg compiler.EndpointConfig, name string, allowed map[string][]string) error {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Hostname() == "" {
		return refuse(cfg, "the url is no http or https address")
	}
	if u.Scheme != "https" && !local(strings.ToLower(u.Hostname())) {
		return noKey(cfg, "the key from %s is not sent to %s without encryption: write https", name, u.Hostname())
	}
	return allowedTo(cfg, u, name, allowed)
}

// allowedTo holds a key and the host that it would go to against the user's own word.
func allowedTo(cfg compiler.EndpointConfig, u *url.URL, name string, allowed map[string][]string) error {
	host := strings.ToLower(u.Hostname())
	if cfg.FromUser {
		return nil
	}
	for _, pattern := range allowed[name] {
		if hostMatches(host, u.Host, strings.ToLower(pattern)) {
			return nil
		}
	}
	// The message holds the very option that would allow it, to be copied.
	return noKey(cfg, "the key from %s may not go to %s: put the endpoint into your own configuration, or allow it with --allow-key %s=%s", name, host, name, host)
}

// home tells whether a variable is a platform's usual one and the host that platform's.
func home(name, host string) bool {
	for _, l := range languages {
		if l.key == name && name != "" {
			return host == l.home || strings.HasSuffix(host, "."+l.home)
		}
	}
	return false
}

// hostMatches holds a host against a pattern: a name, a name with port, or "*.domain" for all below it, which leaves out the domain
// itself: "*.example.com" takes a.example.com and a.b.example.com, neither example.com nor badexample.com.
func hostMatches(host, hostPort, pattern string) bool {
	if below, ok := strings.CutPrefix(pattern, "*."); ok {
		return strings.HasSuffix(host, "."+below)
	}
	return pattern == host || pattern == strings.ToLower(hostPort)
}

// local tells whether a host is this machine.
func local(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
