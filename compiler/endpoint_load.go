package compiler

import (
	"net/url"
	"os"
	"path/filepath"

	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// EndpointsFileName is the name under which an endpoints file is looked for.
const EndpointsFileName = "comfyc-endpoints.yaml"

// previewName is the endpoint that is there without any configuration.
const previewName = "preview"

// LoadEndpoints reads an endpoints file. fromUser says that it is the user's own configuration, so that
// it may send any key to any host. env looks up NOVITA_ENDPOINT_ID, NOVITA_APP_NAME and
// RUNPOD_ENDPOINT_ID; nil means os.LookupEnv. Errors are findings, and the list is then incomplete;
// whether keys may go where they are sent is for [Compile] to say.
func LoadEndpoints(file *source.File, fromUser bool, env func(string) (string, bool)) ([]EndpointConfig, []diag.Diagnostic) {
	l := loader{env: env, fromUser: fromUser, files: reader{dir: filepath.Dir(file.Name)}}
	return l.load(file)
}

// loader decodes endpoints.
type loader struct {
	env      func(string) (string, bool)
	fromUser bool
	files    reader
	list     diag.List
}

// lookup reads a variable of the environment.
func (l *loader) lookup(name string) (string, bool) {
	if l.env != nil {
		return l.env(name)
	}
	return os.LookupEnv(name)
}

// load reads all endpoints of a file.
func (l *loader) load(file *source.File) ([]EndpointConfig, []diag.Diagnostic) {
	members, findings := readEndpoints(file)
	var out []EndpointConfig
	for _, m := range members {
		out = append(out, l.decode(m.Key, m.Value))
	}
	return out, append(findings, l.list.Sorted()...)
}

// readEndpoints gives the endpoints of a file as they are written; none if it does not fit the schema.
func readEndpoints(file *source.File) ([]source.Member, []diag.Diagnostic) {
	root, err := source.Parse(file, source.Limits{})
	if err != nil {
		return nil, []diag.Diagnostic{diag.FromError(err, file.Name)}
	}
	if findings := schemaFindings("endpoints", root); len(findings) > 0 {
		return nil, findings
	}
	return root.Get("endpoints").Members, nil
}

// decode reads one endpoint that fits the schema. What is not written stays zero: the defaults of limits
// belong to the dialect of its type.
func (l *loader) decode(name string, v *source.Value) EndpointConfig {
	c := EndpointConfig{Name: name, Type: v.Get("type").Str(), KeyEnv: v.Get("key_env").Str(), KeyFile: v.Get("key_file").Str(),
		Worker: v.Get("worker").Str(), Emulator: v.Get("emulator"), OutputNode: v.Get("output_node_id").Str(), FromUser: l.fromUser}
	c.URL = l.address(name, v)
	if c.KeyFile != "" {
		c.KeyFile = l.files.locate(c.KeyFile)
	}
	if c.KeyEnv == "" && c.KeyFile == "" {
		c.KeyEnv = platformKey(c.URL)
	}
	l.gpu(&c, v.Get("gpu"))
	if usd, ok := v.Get("price").Get("usd_per_second").Float(); ok {
		c.Price, c.PriceAsOf = &usd, v.Get("price").Get("as_of").Str()
	}
	c.Limits = l.limits(v.Get("limits"))
	c.Workers, c.Terms = scale(v.Get("workers")), jobTerms(v.Get("policy"))
	c.Bucket, c.Health = bucket(v.Get("bucket")), v.Get("health").Str()
	if a := v.Get("aliases"); a != nil {
		c.Aliases = map[string]string{}
		for _, m := range a.Members {
			c.Aliases[m.Key] = m.Value.Str()
		}
	}
	if hosts := v.Get("allow_hosts"); hosts != nil {
		for _, h := range hosts.Items {
			c.AllowHosts = append(c.AllowHosts, h.Str())
		}
	}
	l.models(&c, v)
	return c
}

// gpu reads a GPU's name or {name, vram_gb}, and fills in what is known of it: the memory, and for
// RunPod, which publishes prices by GPU, the price.
func (l *loader) gpu(c *EndpointConfig, v *source.Value) {
	name := v.Str()
	if name == "" {
		name = v.Get("name").Str()
	}
	c.VRAM, _ = v.Get("vram_gb").Float()
	g, ok := FindGPU(name)
	switch {
	case ok:
		c.GPU = g.Name
		if c.VRAM == 0 {
			c.VRAM = g.VRAM
		}
		if c.Type == "runpod" && c.Price == nil {
			usd := g.RunPodUSD
			c.Price, c.PriceAsOf = &usd, g.PriceAsOf
		}
	case name != "" && c.VRAM == 0:
		c.GPU = name
		var names []string
		for _, g := range GPUs {
			names = append(names, g.Name)
		}
		l.list.Add(diag.Warnf("unknown_gpu", diag.Of(v), "nothing is known of the GPU %q, so whether models fit is not looked at", name).
			Hinted(suggestOr(name, names, "say gpu: {name: "+name+", vram_gb: …}")))
	default:
		c.GPU = name
	}
}

// suggestOr gives the nearest name, else another hint.
func suggestOr(name string, names []string, otherwise string) string {
	if hint := diag.Suggest(name, names); hint != "" {
		return hint
	}
	return otherwise
}

// limits reads the limits that are given; the others stay 0, which is the default of the endpoint's type.
func (l *loader) limits(v *source.Value) (out Limits) {
	out.InFlight, _ = v.Get("in_flight").Int()
	out.SubmitPer10s, _ = v.Get("submit_per_10s").Int()
	out.StatusPer10s, _ = v.Get("status_per_10s").Int()
	if s := v.Get("job_bytes"); s != nil {
		out.JobBytes, _ = parseSize(s)
	}
	if s := v.Get("output_bytes"); s != nil {
		out.OutputBytes, _ = parseSize(s)
	}
	out.Retention, _ = parseDuration(v.Get("retention").Str())
	return out
}

// addModel takes a line of the list of models: a name, or what sha256sum prints (64 hex digits, a blank,
// a blank or an asterisk, the name).
func (c *EndpointConfig) addModel(line string) {
	if hash, name, ok := strings.Cut(line, " "); ok && len(hash) == 64 && strings.Trim(hash, "0123456789abcdef") == "" {
		line = strings.TrimLeft(name, " *")
		if c.ModelHashes == nil {
			c.ModelHashes = map[string]string{}
		}
		c.ModelHashes[line] = hash
	}
	c.Models = append(c.Models, line)
}

// models reads the list of models, a name a line, and finds the snapshot. A list that is there but empty
// is not nil: such an endpoint has none.
func (l *loader) models(c *EndpointConfig, v *source.Value) {
	if info := v.Get("object_info"); info != nil {
		c.ObjectInfo = l.files.locate(info.Str())
	}
	list := v.Get("models")
	if list == nil {
		return
	}
	f, err := l.files.read(list.Str())
	if err != nil {
		l.list.Add(diag.Errorf("unreadable_file", diag.Of(list), "endpoint %s: models: %s", c.Name, trouble(err)))
		return
	}
	c.Models = []string{}
	for _, line := range strings.Split(string(f.Data), "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			c.addModel(line)
		}
	}
}

// address gives the base URL: what is written, else what the type and the platform's name for the
// endpoint make. Novita's name is the id, a hyphen and the name of the app; an id that has it already is
// left alone.
func (l *loader) address(name string, v *source.Value) string {
	if u := v.Get("url").Str(); u != "" {
		if parsed, err := url.Parse(u); err != nil || parsed.Host == "" {
			l.list.Add(diag.Errorf("bad_url", diag.Of(v.Get("url")), "endpoint %s: this is no URL of a host", name))
		} else if parsed.User != nil {
			l.list.Add(diag.Errorf("bad_url", diag.Of(v.Get("url")), "endpoint %s: a URL must not hold a name or a password", name))
		}
		return strings.TrimRight(u, "/")
	}
	id, app := v.Get("endpoint").Get("id").Str(), v.Get("endpoint").Get("app").Str()
	base, idEnv := "", ""
	switch v.Get("type").Str() {
	case "novita":
		base, idEnv = "https://async.novita.ai/v1/", "NOVITA_ENDPOINT_ID"
		if app == "" && id == "" {
			app, _ = l.lookup("NOVITA_APP_NAME")
		}
	case "runpod":
		base, idEnv = "https://api.runpod.ai/v2/", "RUNPOD_ENDPOINT_ID"
	case "comfyui": // ComfyUI's own default port, on this machine
		return "http://127.0.0.1:8188"
	case previewName:
		return ""
	}
	if id == "" && idEnv != "" {
		id, _ = l.lookup(idEnv)
	}
	if id == "" {
		l.list.Add(diag.Errorf("bad_url", diag.Of(v.Get("type")), "endpoint %s has no url", name).Hinted(whereFrom(idEnv)))
		return ""
	}
	if app != "" && !strings.HasSuffix(id, "-"+app) {
		id += "-" + app
	}
	return base + url.PathEscape(id)
}

// whereFrom says how an endpoint of a platform gets its URL.
func whereFrom(idEnv string) string {
	if idEnv == "" {
		return "write url: https://…"
	}
	return "write url: …, or endpoint: {id: …}, or set " + idEnv
}
