package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/cmd/internal/service"
	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/source"
)

// The files of docs/deploy are run by systemd, docker and Kubernetes, which no test has. What is held here is what can go wrong in them without
// those: flags that the command does not have, folders and ports that do not fit together, configurations that would be refused.

// deployFile reads a file of docs/deploy, or of the root.
func deployFile(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range []string{"../../../docs/deploy", "../../.."} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			return string(text)
		}
	}
	t.Fatalf("%s is not there", name)
	return ""
}

// deployed reads one YAML document.
func deployed(t *testing.T, name, text string) *source.Value {
	t.Helper()
	v, err := source.Parse(source.NewFile(name, []byte(text)), source.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

// served parses the arguments of a `comfyc serve` as the command does, and gives its flags.
func served(t *testing.T, where string, args []string) (flag func(string) string) {
	t.Helper()
	cmd, rest, err := Command(&Env{Stdout: &bytes.Buffer{}, Stderr: &bytes.Buffer{}, Getenv: func(string) string { return "" }}).Find(args)
	if err == nil {
		err = cmd.ParseFlags(rest)
	}
	if err != nil || cmd.Name() != "serve" || len(cmd.Flags().Args()) > 0 {
		t.Fatalf("%s: %v: %v", where, args, err)
	}
	return func(name string) string { return cmd.Flags().Lookup(name).Value.String() }
}

func words(v *source.Value) (out []string) {
	for _, item := range v.Items {
		out = append(out, item.Str())
	}
	return out
}

func TestTheSystemdUnit(t *testing.T) {
	text := deployFile(t, "comfyc.service")
	m := regexp.MustCompile(`(?m)^ExecStart=(\S+) (.*)$`).FindStringSubmatch(text)
	if m == nil {
		t.Fatal("there is no ExecStart")
	}
	flag := served(t, "comfyc.service", strings.Fields(m[2]))
	if flag("data") != "/var/lib/comfyc" || !strings.Contains(text, "StateDirectory=comfyc\n") || !strings.HasPrefix(flag("addr"), "127.0.0.1:") {
		t.Errorf("data %s, address %s", flag("data"), flag("addr"))
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("SKIPPED: systemd's own opinion of the unit, as there is no systemd-analyze")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "comfyc.service")
	if err := os.WriteFile(unit, []byte(strings.Replace(text, m[1], self, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", unit).CombinedOutput(); err != nil || bytes.Contains(out, []byte("comfyc.service")) {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// The image's user can write what the command is told to write, and its port is the one that is exposed.
func TestTheDockerfile(t *testing.T) {
	text := deployFile(t, "Dockerfile")
	list := func(word string) []string {
		m := regexp.MustCompile(`(?m)^` + word + ` \[(.*)\]$`).FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("the Dockerfile has no %s", word)
		}
		return words(deployed(t, word, "["+m[1]+"]"))
	}
	flag := served(t, "Dockerfile", list("CMD"))
	_, port, _ := strings.Cut(flag("addr"), ":")
	if entry := list("ENTRYPOINT"); len(entry) != 1 || entry[0] != "/comfyc" || !strings.Contains(text, " /out/comfyc /comfyc\n") {
		t.Errorf("entry %v", entry)
	}
	for _, line := range []string{"EXPOSE " + port, "VOLUME " + flag("data"), "USER 65532:65532", "COPY --from=build --chown=65532:65532 /out/data " + flag("data"), "FROM scratch", "CGO_ENABLED=0"} {
		if !strings.Contains(text, line) {
			t.Errorf("the Dockerfile lacks %q", line)
		}
	}
	mod := deployFile(t, "go.mod")
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(mod)
	if version == nil || !strings.Contains(text, "FROM golang:"+version[1]+" ") {
		t.Errorf("go.mod says %v, the Dockerfile builds with another Go", version)
	}
}

func TestTheComposeFile(t *testing.T) {
	root := deployed(t, "compose.yaml", deployFile(t, "compose.yaml"))
	c := root.Get("services").Get("comfyc")
	flag := served(t, "compose.yaml", words(c.Get("command")))
	volumes := words(c.Get("volumes"))
	if !slices.Contains(volumes, "data:"+flag("data")) || !slices.ContainsFunc(volumes, func(v string) bool {
		return strings.HasSuffix(v, ":"+filepath.Dir(flag("config"))+":ro")
	}) {
		t.Errorf("volumes %v do not hold %s and %s", volumes, flag("data"), flag("config"))
	}
	_, port, _ := strings.Cut(flag("addr"), ":")
	if proxy := deployFile(t, "nginx.conf"); !strings.Contains(proxy, "http://comfyc:"+port+";") || !strings.Contains(proxy, "proxy_buffering off;") {
		t.Errorf("nginx does not pass on to comfyc:%s, unbuffered", port)
	}
	if c.Get("environment").Get(postgresVariable) == nil || root.Get("volumes").Get("data") == nil || root.Get("services").Get("postgres") == nil {
		t.Error("the ledger's address, the volume or Postgres is missing")
	}
}

// On Kubernetes the flags lead to what is mounted, the probes to routes that need no key, and the configuration in the ConfigMap is taken.
func TestTheKubernetesManifests(t *testing.T) {
	byKind := map[string]*source.Value{}
	for _, text := range strings.Split(deployFile(t, "kubernetes.yaml"), "\n---\n") {
		v := deployed(t, "kubernetes.yaml", text)
		byKind[v.Get("kind").Str()] = v
	}
	pod := byKind["Deployment"].Get("spec").Get("template").Get("spec")
	c := pod.Get("containers").Index(0)
	flag := served(t, "kubernetes.yaml", words(c.Get("args")))
	mounts := map[string]string{}
	for _, m := range c.Get("volumeMounts").Items {
		mounts[m.Get("mountPath").Str()] = m.Get("name").Str()
	}
	for _, v := range pod.Get("volumes").Items {
		for path, name := range mounts {
			if name == v.Get("name").Str() {
				mounts[path] = "found"
			}
		}
	}
	config := byKind["ConfigMap"].Get("data")
	for _, path := range []string{flag("data"), filepath.Dir(flag("config")), filepath.Dir(flag("endpoints"))} {
		if mounts[path] != "found" {
			t.Errorf("nothing is mounted at %s", path)
		}
	}
	parsed, findings := service.ParseConfig(source.NewFile("service.yaml", []byte(config.Get(filepath.Base(flag("config"))).Str())))
	if len(findings) > 0 || len(parsed.Pools) == 0 {
		t.Errorf("the service's configuration: %v", findings)
	}
	ends, findings := compiler.LoadEndpoints(source.NewFile("comfyc-endpoints.yaml", []byte(config.Get(filepath.Base(flag("endpoints"))).Str())), true, nil)
	if hasErrors(findings) {
		t.Errorf("the endpoints: %v", findings)
	}
	for _, p := range parsed.Pools {
		for _, name := range p.Endpoints {
			if !slices.ContainsFunc(ends, func(e compiler.EndpointConfig) bool { return e.Name == name }) {
				t.Errorf("pool %s has no endpoint %s", p.Name, name)
			}
		}
	}
	_, port, _ := strings.Cut(flag("addr"), ":")
	if n, _ := c.Get("ports").Index(0).Get("containerPort").Int(); port != "8188" || n != 8188 {
		t.Errorf("port %s, container port %d", port, n)
	}
	for probe, path := range map[string]string{"readinessProbe": "/readyz", "livenessProbe": "/healthz"} {
		if got := c.Get(probe).Get("httpGet").Get("path").Str(); got != path || !strings.Contains(string(service.Describe()), `"`+path+`"`) {
			t.Errorf("%s asks %s", probe, got)
		}
	}
	label := byKind["Deployment"].Get("spec").Get("selector").Get("matchLabels").Get("app").Str()
	if label == "" || byKind["Service"].Get("spec").Get("selector").Get("app").Str() != label || byKind["Deployment"].Get("spec").Get("template").Get("metadata").Get("labels").Get("app").Str() != label {
		t.Error("the selectors do not meet")
	}
	if secret := byKind["Secret"].Get("stringData"); secret.Get(postgresVariable) == nil || secret.Get("COMFYC_STATE_KEY") == nil {
		t.Error("the Secret lacks what the replicas need")
	}
}
