package service

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// figure is a name of a metric in a query; the words around it are PromQL's own.
var figure = regexp.MustCompile(`\b(comfyc|process|go)_[a-z_]+\b`)

// TestTheDashboardIsTrue: every figure of the dashboard, and every one that docs/deploy.md wants an alert for, is in /metrics, and so is every label
// that the queries group by.
func TestTheDashboardIsTrue(t *testing.T) {
	c := serve(t, Options{Getenv: func(name string) string {
		return map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}[name]
	}})
	c.ended(c.want(202, "POST", "/api/v1/batches", small("counted", 1), nil)["id"].(string))
	_, text := c.do("GET", "/metrics", nil, nil)
	have := map[string]bool{}
	for _, line := range strings.Split(string(text), "\n") {
		if name := figure.FindString(line); name != "" && !strings.HasPrefix(line, "#") {
			have[name] = true
		}
	}
	if !have["comfyc_http_requests_total"] || !have["comfyc_endpoint_usable"] {
		t.Fatalf("/metrics: %.2000s", text)
	}
	for _, file := range []string{"../../../docs/deploy/grafana.json", "../../../docs/deploy.md", "../../../docs/service.md"} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range figure.FindAllString(string(data), -1) {
			if !have[name] && name != "comfyc_service" { // a schema of the database
				t.Errorf("%s names %s, which is not in /metrics", file, name)
			}
		}
	}
	data, err := os.ReadFile("../../../docs/deploy/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(data, &board); err != nil {
		t.Fatal(err)
	}
	if len(board.Panels) < 8 {
		t.Errorf("%d panels", len(board.Panels))
	}
	by := regexp.MustCompile(`by \(([a-z, ]+)\)`)
	for _, p := range board.Panels {
		if p.Title == "" || len(p.Targets) == 0 {
			t.Errorf("a panel %q without a query", p.Title)
		}
		for _, q := range p.Targets {
			for _, m := range by.FindAllStringSubmatch(q.Expr, -1) {
				for label := range strings.SplitSeq(m[1], ",") {
					if !strings.Contains(string(text), strings.TrimSpace(label)+`="`) {
						t.Errorf("%s: there is no label %q", p.Title, label)
					}
				}
			}
		}
	}
}
