package render

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render/post"
	"github.com/comfyc/comfyc/scheduler"
)

// frontendServer serves ComfyUI's own editor with as much of a server as it needs to start: the static folder of the package
// comfyui-frontend-package, node definitions, and empty answers.
func frontendServer(t *testing.T, static string, definitions []byte) *httptest.Server {
	answers := map[string]string{
		"users": `{"storage":"server","migrated":true}`, "settings": `{"Comfy.TutorialCompleted":true,"Comfy.InstalledVersion":"1.58.1"}`,
		"system_stats": `{"system":{"os":"posix","comfyui_version":"0.33.0","python_version":"3.11","pytorch_version":"2","embedded_python":false,"argv":[],"ram_total":1,"ram_free":1},"devices":[]}`,
		"embeddings":   `[]`, "extensions": `[]`, "global_subgraphs": `{}`, "workflow_templates": `{}`, "i18n": `{}`, "features": `{}`, "node_replacements": `{}`,
		"prompt": `{"exec_info":{"queue_remaining":0}}`, "queue": `{"queue_running":[],"queue_pending":[]}`, "history": `{}`, "userdata": `[]`, "experiment/models": `[]`,
		"jobs": `{"jobs":[],"pagination":{"offset":0,"limit":200,"total":0,"has_more":false}}`, "object_info": string(definitions),
	}
	files := http.FileServer(http.Dir(static))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ws" {
			greet(w, r)
			return
		}
		path, api := strings.CutPrefix(r.URL.Path, "/api/")
		answer, known := answers[path]
		switch {
		case api && (known || r.Method == http.MethodPost):
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, answer)
		case api || strings.HasPrefix(r.URL.Path, "/internal/"):
			http.NotFound(w, r)
		default:
			files.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.CloseClientConnections)
	return s
}

// greet takes a websocket and says the status once.
func greet(w http.ResponseWriter, r *http.Request) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
	text := `{"type":"status","data":{"status":{"exec_info":{"queue_remaining":0}},"sid":"abc"}}`
	_, _ = conn.Write(append([]byte{0x81, byte(len(text))}, text...))
}

// dropped is the graph that a picture carries, and that must be in the editor after it was dropped there.
const dropped = `{"4":{"class_type":"CheckpointLoaderSimple","inputs":{"ckpt_name":"sd15.safetensors"}},
"6":{"class_type":"CLIPTextEncode","inputs":{"text":"a fox, füchse 狐","clip":["4",1]},"_meta":{"title":"Positive"}},
"7":{"class_type":"CLIPTextEncode","inputs":{"text":"blurry","clip":["4",1]}},
"5":{"class_type":"EmptyLatentImage","inputs":{"width":512,"height":768,"batch_size":1}},
"3":{"class_type":"KSampler","inputs":{"seed":1234567890123,"steps":20,"cfg":3.5,"sampler_name":"dpmpp_2m","scheduler":"karras","denoise":1,"model":["4",0],"positive":["6",0],"negative":["7",0],"latent_image":["5",0]}},
"8":{"class_type":"VAEDecode","inputs":{"samples":["3",0],"vae":["4",2]}},
"9":{"class_type":"SaveImage","inputs":{"filename_prefix":"mine","images":["8",0]}}}`

// TestFrontendDrop drops a collected PNG, and a WebP made of it, on ComfyUI's real editor: the graph is there again, with every value.
// COMFYC_FRONTEND names the folder static of the Python package comfyui-frontend-package (pip download --no-deps; a wheel is a zip).
func TestFrontendDrop(t *testing.T) {
	static := os.Getenv("COMFYC_FRONTEND")
	if static == "" {
		t.Skip("NOT TESTED: pictures dropped on ComfyUI's editor, as COMFYC_FRONTEND names no static folder of comfyui-frontend-package")
	}
	definitions, err := os.ReadFile(filepath.Join("..", "..", "shared", "truth", "object_info.json"))
	if err != nil {
		t.Skip("NOT TESTED: pictures dropped on ComfyUI's editor, as there are no recorded node definitions: " + err.Error())
	}
	recipe, err := post.ParseRecipe([]byte(`[{"format": "webp"}]`), nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	col := &Collector{Dir: dir, Name: numbered, Recipe: recipe, Provenance: func(int) Provenance { return Provenance{Batch: "drop", Prompt: []byte(dropped)} }}
	got, err := col.Collect(t.Context(), scheduler.Result{Job: &compiler.Job{Renders: []int{0}, Owed: []compiler.Owed{owed(0, "9", "p")}},
		Outputs: []scheduler.Output{{Filename: "p_1.png", Base64: b64(sent(t, 1))}}})
	if err != nil || len(got.Done) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	b := newBrowser(t, 1200, 900)
	s := frontendServer(t, static, definitions)
	b.anything = true
	b.do(chromedp.Navigate(s.URL))
	waitFor(t, b, `!!(window.app && window.app.vueAppReady && window.app.extensionManager && document.querySelector("canvas"))`)
	for _, path := range []string{got.Done[0].Files[0].Original, got.Done[0].Files[0].Path} {
		file, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(path)))
		if err != nil {
			t.Fatal(err)
		}
		b.eval(`(window.app.graph.clear(), 1)`)
		mime := DetectType(file[:min(len(file), sniffBytes)], "").MIME
		b.eval(fmt.Sprintf(`(() => { const data = Uint8Array.from(atob(%q), c => c.charCodeAt(0)), t = new DataTransfer();
			t.items.add(new File([data], %q, { type: %q }));
			return document.querySelector("canvas").dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: t })); })()`, b64(file), filepath.Base(path), mime))
		waitFor(t, b, `window.app.graph.nodes.length === 7`)
		text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`window.app.graphToPrompt().then(p => JSON.stringify(p.output))`, chromedp.EvalAwaitPromise))
		if err != nil {
			t.Fatal(err)
		}
		if !sameGraph(t, text, dropped) {
			t.Errorf("%s: the editor has\n%s", path, text)
		}
	}
}

// sameGraph compares classes and inputs.
func sameGraph(t *testing.T, a, b string) bool {
	t.Helper()
	norm := func(text string) []byte {
		var g map[string]struct {
			Class  string         `json:"class_type"`
			Inputs map[string]any `json:"inputs"`
		}
		if err := json.Unmarshal([]byte(text), &g); err != nil {
			t.Fatal(err)
		}
		out, _ := json.Marshal(g)
		return out
	}
	return bytes.Equal(norm(a), norm(b))
}

// waitFor waits for something slow.
func waitFor(t *testing.T, b *browser, js string) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); {
		if b.eval(js) == "true" {
			return
		}
	}
	t.Fatalf("never: %s", js)
}
