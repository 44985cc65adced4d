package service

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
)

// The document and the routes say the same.
func TestTheDocumentIsTrue(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(openapi)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Options{Dir: t.TempDir(), Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	served := map[string]bool{}
	for _, r := range s.routes() {
		path := strings.ReplaceAll(r.Path, ":*}", "}")
		name := r.Method + " " + path
		served[name] = true
		item := doc.Paths.Value(path)
		if item == nil || item.GetOperation(r.Method) == nil {
			t.Errorf("%s is served and not described", name)
			continue
		}
		op := item.GetOperation(r.Method)
		if open := op.Security != nil && len(*op.Security) == 0; open != (r.Scope == "") {
			t.Errorf("%s: needs a key: %t; described as open: %t", name, r.Scope != "", open)
		}
		var kinds []string
		if op.RequestBody != nil {
			for kind := range op.RequestBody.Value.Content {
				kinds = append(kinds, kind)
			}
		}
		sort.Strings(kinds)
		want := append([]string(nil), r.Bodies...)
		sort.Strings(want)
		if op.RequestBody != nil && fmt.Sprint(kinds) != fmt.Sprint(want) {
			t.Errorf("%s takes %v, described as %v", name, want, kinds)
		}
	}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			if !served[method+" "+path] {
				t.Errorf("%s %s is described and not served", method, path)
			}
		}
	}
}

// schemathesis asks all that the document allows, and much that it does not: no 5xx, no status that is not described.
func TestSchemathesis(t *testing.T) {
	if os.Getenv("COMFYC_SCHEMATHESIS") == "" {
		t.Skip("SKIPPED: schemathesis over /openapi.json, which takes minutes: make schemathesis")
	}
	python := venv(t, "schemathesis", "schemathesis==4.1.4", "hypothesis==6.135.0")
	c := serve(t, Options{Listen: loopbackListen})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(filepath.Dir(python), "schemathesis"), "run", c.base+"/openapi.json", "--checks", "not_a_server_error,status_code_conformance",
		"--max-examples", "20", "--seed", "7", "--request-timeout", "120", "--exclude-path-regex", "events|status-sync|runsync|stream")
	cmd.Dir = t.TempDir() // it leaves notes
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%.6000s", err, out)
	}
	t.Logf("%.2000s", out)
}

// Junk on the wire never takes the service down, and never ends in a 5xx.
func TestJunk(t *testing.T) {
	c := serve(t, Options{Listen: loopbackListen})
	random := rand.New(rand.NewPCG(1, 2))
	words := []string{"GET", "POST", "DELETE", " ", "/", "/api/v1/batches", "/v2/preview/run", " HTTP/1.1", "\r\n", "Host: 127.0.0.1", "Content-Length: ", "Transfer-Encoding: chunked",
		"Content-Type: application/json", "99999999999", "-1", "{", "}", "\"", "\x00", "\xff", "%00", "..", ":", "Range: bytes=-", "Cookie: comfyc_session=", "Authorization: Basic ", "é"}
	for i := range 300 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		text := "POST /api/v1/check HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
		if i%2 == 0 {
			text = ""
		}
		for range random.IntN(30) {
			text += words[random.IntN(len(words))]
		}
		fmt.Fprint(conn, text+"\r\n\r\n")
		conn.(*net.TCPConn).CloseWrite()
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil && answer.StatusCode >= 500 {
			t.Errorf("%q: %d", text, answer.StatusCode)
		}
		conn.Close()
	}
	c.want(200, "GET", "/healthz", nil, nil)
}
