package service

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/queue"
	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/render/s3"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/schemas"
)

// Config is the service's configuration file, service.schema.json. The zero value has a pool for each endpoint.
// Sizes are in bytes here and in MiB in the file; 0 means the default of whoever uses the field.
type Config struct {
	Pools      []queue.Pool   // those of the file; fill adds one for each endpoint if there are none
	Hosts      []string       // names under which the service is reached
	Origins    []string       // sites whose pages may call the API
	Proxies    []netip.Prefix // whose X-Forwarded-* headers are believed
	AllowHosts []string       // private hosts that webhooks, inputs and buckets may be on
	Cert, Key  string         // files, for TLS
	MaxBody    int            // bytes of a request's body
	MaxBatches int            // that run at one time
	MaxRenders int            // of one batch; more is refused with 422
	KeepBatch  time.Duration  // how long ended batches are kept, unless the key has a retention of its own
	KeepJob    time.Duration  // likewise for ended jobs
	Files      *s3.Config     // where files of works are, instead of the data folder; nil for that
	Native     []Native       // in the order of the file, then those of --native
}

// Native is an address on which a pool is a ComfyUI server.
type Native struct {
	Pool, Address string // Address is HOST:PORT
	As            string // name of the key that everybody there is; "" asks for keys, if there are some
}

// ParseConfig reads the file. Mistakes are findings; the Config is of use only if none of them is an error.
// Every finding is an error: the service does not start with a key that it does not know, since a misspelt limit would be no
// limit. Places point into the file.
func ParseConfig(file *source.File) (c Config, findings []diag.Diagnostic) {
	root, err := source.Parse(file, source.Limits{})
	if err != nil {
		return c, []diag.Diagnostic{diag.FromError(err, file.Name)}
	}
	// The schema is the only check of types and ranges; what follows may rely on it.
	for _, v := range schemas.Check("service", root.Any()) {
		at, _ := root.Pointer(v.Pointer) // nil where the pointer names a key that is missing: then the whole file is meant
		if at == nil {
			at = root
		}
		findings = append(findings, diag.Errorf("schema", diag.Of(at), "%s", v.Message).Hinted(diag.Suggest(v.Found, v.Allowed)))
	}
	if len(findings) > 0 {
		return c, findings
	}
	findings = c.read(root)
	// What a schema cannot say is checked here: that a text is a range of addresses.
	for i, text := range texts(root.Get("trusted_proxies")) {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			findings = append(findings, diag.Errorf("schema", diag.Of(root.Get("trusted_proxies").Items[i]), "%q is no range of addresses such as 10.0.0.0/8", text))
		}
		c.Proxies = append(c.Proxies, p)
	}
	if files := root.Get("files"); files != nil {
		at, err := s3.Parse(files.AppendJSON(nil))
		if err != nil {
			findings = append(findings, diag.Errorf("schema", diag.Of(files), "files: %v", err))
		}
		c.Files = &at
	}
	return c, findings
}

// read takes what fits the schema. The findings are durations that no schema can bound.
// A key that is missing reads as nil, and nil as the zero value, so no key needs a branch of its own.
func (c *Config) read(root *source.Value) (findings []diag.Diagnostic) {
	duration := func(v *source.Value) time.Duration {
		if v == nil {
			return 0
		}
		d, err := Duration(v.Str())
		if err != nil {
			findings = append(findings, diag.Errorf("schema", diag.Of(v), "%v", err))
		}
		return d
	}
	c.Hosts, c.Origins, c.AllowHosts = texts(root.Get("hosts")), texts(root.Get("origins")), texts(root.Get("allow_hosts"))
	for i := range c.Hosts {
		c.Hosts[i] = strings.ToLower(c.Hosts[i]) // names of hosts are compared without case
	}
	tls, limits, keep := root.Get("tls"), root.Get("limits"), root.Get("retention")
	c.Cert, c.Key = tls.Get("cert").Str(), tls.Get("key").Str()
	if mib, ok := limits.Get("body_mib").Int(); ok {
		c.MaxBody = mib << 20
	}
	c.MaxBatches, _ = limits.Get("batches").Int()
	c.MaxRenders, _ = limits.Get("renders").Int()
	c.KeepBatch, c.KeepJob = duration(keep.Get("batches")), duration(keep.Get("jobs"))
	if pools := root.Get("pools"); pools != nil {
		for _, m := range pools.Members {
			c.Pools = append(c.Pools, queue.Pool{Name: m.Key, Endpoints: texts(m.Value.Get("endpoints")), Objective: scheduler.Objective(m.Value.Get("objective").Str()),
				Timeout: duration(m.Value.Get("timeout"))})
		}
	}
	if native := root.Get("native"); native != nil {
		// Both `POOL: "ADDR"` and `POOL: {addr: ADDR, as: KEY}` are understood; Str of an object is "".
		for _, m := range native.Members {
			n := Native{Pool: m.Key, Address: m.Value.Str(), As: m.Value.Get("as").Str()}
			if n.Address == "" {
				n.Address = m.Value.Get("addr").Str()
			}
			c.Native = append(c.Native, n)
		}
	}
	return findings
}

// texts gives a list of strings, nil if it is not there.
// The schema has held that all items are strings.
func texts(v *source.Value) (out []string) {
	if v == nil {
		return nil
	}
	for _, item := range v.Items {
		out = append(out, item.Str())
	}
	return out
}

// MaxDuration bounds every duration of a configuration: a hundred years.
const MaxDuration = 36500 * 24 * time.Hour

// Duration reads a duration such as 90s, 2h or 30d.
// Parts may follow each other, as in 1h30m, and may be broken, as in 1.5h; "d" is 24 hours. What is no such text, is zero, or is above
// MaxDuration is an error.
func Duration(text string) (d time.Duration, err error) {
	rest := text
	for rest != "" {
		end := strings.IndexAny(rest, "smhd")
		if end < 0 || strings.Trim(rest[:end], "0123456789.") != "" {
			return 0, fmt.Errorf("%q is no duration such as 90s, 2h or 30d", text)
		}
		n, err := strconv.ParseFloat(rest[:end], 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return 0, fmt.Errorf("%q is no duration such as 90s, 2h or 30d", text)
		}
		unit := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[rest[end]]
		if n > float64(MaxDuration/unit) {
			return 0, fmt.Errorf("the duration %s is longer than 36500d", text)
		}
		if d += time.Duration(n * float64(unit)); d > MaxDuration {
			return 0, fmt.Errorf("the duration %s is longer than 36500d", text)
		}
		rest = rest[end+1:]
	}
	if d == 0 {
		return 0, fmt.Errorf("the duration %q is none", text)
	}
	return d, nil
}

// fill adds the preview endpoint, if no other has its name, and, where no pools are configured, a pool for each endpoint.
// A pool of its own makes each endpoint reachable under the compatible faces without a configuration file. Two endpoints whose
// names differ only in what a path cannot hold get "-2", "-3" at the end, in the order of the file.
func (c *Config) fill(ends []compiler.EndpointConfig) []compiler.EndpointConfig {
	if !slices.ContainsFunc(ends, func(e compiler.EndpointConfig) bool { return e.Name == "preview" }) {
		ends = append(ends, compiler.EndpointConfig{Name: "preview", Type: "preview", FromUser: true})
	}
	if len(c.Pools) == 0 {
		taken := map[string]bool{}
		for _, e := range ends {
			name := poolName(e.Name)
			for n := 2; taken[name]; n++ {
				name = fmt.Sprintf("%s-%d", poolName(e.Name), n)
			}
			taken[name] = true
			c.Pools = append(c.Pools, queue.Pool{Name: name, Endpoints: []string{e.Name}})
		}
	}
	return ends
}

// poolName makes an endpoint's name fit for a path.
// Small letters, digits and "-", as the contract has the names of pools: "RTX 4090 (eu)" becomes "rtx-4090--eu".
func poolName(name string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name)), "-")
}
