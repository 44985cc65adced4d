package service

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
)

// comfyServer starts a service whose pool preview is a ComfyUI server, and gives a client of that.
func comfyServer(t *testing.T) *client {
	t.Helper()
	return comfyServerOf(t, "preview", Options{})
}

// comfyServerOf is comfyServer for another pool.
func comfyServerOf(t *testing.T, pool string, o Options) *client {
	t.Helper()
	var addresses []net.Addr
	o.Config.Native = []Native{{Pool: pool, Address: "127.0.0.1:0"}}
	o.Listen = func(network, address string) (net.Listener, error) {
		ln, err := net.Listen(network, address)
		if err == nil {
			addresses = append(addresses, ln.Addr())
		}
		return ln, err
	}
	c := serve(t, o)
	n := *c
	n.base, n.main = "http://"+addresses[1].String(), "http://"+addresses[0].String()
	return &n
}

func TestThePoolIsAComfyUIServer(t *testing.T) {
	c := comfyServer(t)
	png, _ := base64.StdEncoding.DecodeString(dot)
	upload := func(name string, data []byte) map[string]any {
		var body bytes.Buffer
		m := multipart.NewWriter(&body)
		w, _ := m.CreateFormFile("image", name)
		w.Write(data)
		m.Close()
		return c.want(200, "POST", "/upload/image", &body, header{"Content-Type": m.FormDataContentType()})
	}
	if u := upload("a.png", png); u["name"] != "a.png" || u["type"] != "input" {
		t.Errorf("upload %v", u)
	}
	if u := upload("a.png", png); u["name"] != "a.png" {
		t.Errorf("the same again %v", u)
	}
	if u := upload("a.png", append(png, 0)); u["name"] != "a (1).png" {
		t.Errorf("another of the name %v", u)
	}
	conn, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(c.base, "http")+"/ws?clientId=me", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p := c.want(200, "POST", "/api/prompt", `{"client_id":"me","prompt":`+loadImage+`,"extra_data":{"a":1}}`, nil)
	id := p["prompt_id"].(string)
	var story []string
	for {
		_, text, err := conn.ReadMessage()
		if err != nil {
			t.Fatal(err, story)
		}
		var m struct {
			Type string         `json:"type"`
			Data map[string]any `json:"data"`
		}
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		story = append(story, m.Type)
		if m.Type == "executing" && m.Data["node"] == nil {
			break
		}
	}
	for _, kind := range []string{"status", "execution_start", "executed", "execution_success"} {
		if !strings.Contains(fmt.Sprint(story), kind) {
			t.Errorf("the story lacks %s: %v", kind, story)
		}
	}
	h := c.want(200, "GET", "/history/"+id, nil, nil)[id].(map[string]any)
	status := h["status"].(map[string]any)
	image := h["outputs"].(map[string]any)["2"].(map[string]any)["images"].([]any)[0].(map[string]any)
	if status["status_str"] != "success" || status["completed"] != true || image["filename"] != "pic_00001_.png" || len(h["prompt"].([]any)) != 5 {
		t.Errorf("history %v", h)
	}
	answer, data := c.do("GET", fmt.Sprintf("/view?filename=%s&subfolder=%s&type=output", image["filename"], image["subfolder"]), nil, nil)
	if answer.StatusCode != 200 || !bytes.HasPrefix(data, []byte("\x89PNG")) {
		t.Errorf("view: %d", answer.StatusCode)
	}
	if answer, data := c.do("GET", "/view?filename=a.png&type=input", nil, nil); answer.StatusCode != 200 || !bytes.Equal(data, png) {
		t.Errorf("view of an upload: %d", answer.StatusCode)
	}
	info := c.want(200, "GET", "/object_info/KSampler", nil, nil)["KSampler"].(map[string]any)
	if info["name"] != "KSampler" || info["input"].(map[string]any)["required"] == nil {
		t.Errorf("object_info %v", info)
	}
	if all := c.want(200, "GET", "/object_info", nil, nil); len(all) < 500 {
		t.Errorf("object_info has %d classes", len(all))
	}
	for _, path := range []string{"/queue", "/system_stats", "/features", "/api/queue", "/prompt", "/history?max_items=1"} {
		c.want(200, "GET", path, nil, nil)
	}
	bad := c.want(400, "POST", "/prompt", `{"prompt":`+strings.Replace(fmt.Sprintf(emptyImage, 0), `"width":64`, `"width":"wide"`, 1)+`}`, nil)
	if bad["node_errors"].(map[string]any)["1"] == nil || bad["error"] == nil {
		t.Errorf("a bad prompt %v", bad)
	}
	c.want(400, "POST", "/prompt", `{}`, nil)
	c.want(400, "POST", "/prompt", `{"prompt":{},"prompt_id":"x"}`, nil)
	// As Python's urllib sends it.
	c.want(200, "POST", "/prompt", strings.NewReader(`{"prompt":`+fmt.Sprintf(emptyImage, 5)+`}`), header{"Content-Type": "application/x-www-form-urlencoded"})
	c.want(415, "POST", "/prompt", strings.NewReader(`{}`), header{"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "none"})
	for _, q := range []string{"filename=../a.png&type=input", "filename=..%2fa.png&type=input", "filename=a.png&type=input&subfolder=../anyone", "filename=%2fetc%2fpasswd",
		"filename=state.db&subfolder=" + id + "/../.comfyc", "filename=a.png&subfolder=" + strings.Repeat("0", 36), ""} {
		if answer, _ := c.do("GET", "/view?"+q, nil, nil); answer.StatusCode < 400 || answer.StatusCode >= 500 {
			t.Errorf("view %s: %d", q, answer.StatusCode)
		}
	}
	c.want(200, "POST", "/history", `{"clear":true}`, nil)
	if h := c.want(200, "GET", "/history", nil, nil); len(h) > 1 {
		t.Errorf("history after clear: %d", len(h))
	}
}

// comfy-cli runs a workflow on a pool as on a server of its own. It is looked for in the environment that COMFYC_PEER_VENV names, then on PATH.
func TestComfyCLI(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: comfy-cli is slow to start")
	}
	program := filepath.Join(os.Getenv("COMFYC_PEER_VENV"), "bin", "comfy")
	if _, err := os.Stat(program); err != nil {
		if program, err = exec.LookPath("comfy"); err != nil {
			t.Skip("SKIPPED: comfy-cli is not installed (pip install comfy-cli==1.23.0), and COMFYC_PEER_VENV names no environment with it")
		}
	}
	c := comfyServer(t)
	file := filepath.Join(t.TempDir(), "workflow.json")
	if err := os.WriteFile(file, []byte(fmt.Sprintf(emptyImage, 3)), 0o600); err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(strings.TrimPrefix(c.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--skip-prompt", "run", "--workflow", file, "--host", host, "--port", port, "--wait")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "DO_NOT_TRACK=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("comfy run: %v\n%.3000s", err, out)
	}
	if !strings.Contains(string(out), "pic_00001_.png") {
		t.Errorf("comfy-cli does not name the picture:\n%.3000s", out)
	}
}

// Uploads count against what a key may keep on disk, and go when their time is over.
func TestUploadsAreBounded(t *testing.T) {
	c := comfyServer(t)
	key := c.addKey(keys.Limits{DiskBytes: 1000, Retention: time.Hour})
	upload := func(status int, name string, size int) {
		t.Helper()
		var body bytes.Buffer
		m := multipart.NewWriter(&body)
		w, _ := m.CreateFormFile("image", name)
		w.Write(make([]byte, size))
		m.Close()
		c.as(key).want(status, "POST", "/upload/image", &body, header{"Content-Type": m.FormDataContentType()})
	}
	upload(200, "a.png", 600)
	upload(403, "b.png", 600)
	upload(200, "c.png", 300)
	dir := filepath.Join(c.svc.Dir, "native", "preview", keyID(key))
	old := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "a.png"), old, old); err != nil {
		t.Fatal(err)
	}
	upload(200, "b.png", 600)
	if _, err := os.Stat(filepath.Join(dir, "a.png")); !os.IsNotExist(err) {
		t.Errorf("an upload whose time is over: %v", err)
	}
}
