package compiler

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// yamlBlock is an example in the documentation.
var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestDocs compiles every example of docs/batch.md against the files in testdata/docs. What an example leaves out, version and workflow above all,
// is put before it. Endpoints are examples of an endpoints file.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../docs/batch.md")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, m := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
		block := m[1]
		if strings.HasPrefix(block, "endpoints:\n") {
			if _, findings := LoadEndpoints(source.NewFile("comfyc-endpoints.yaml", []byte(block)), true, env); len(findings) > 0 {
				t.Errorf("%s\n%s", block, print(findings))
			}
			continue
		}
		for _, key := range []string{"workflow: flow.json\n", "version: 1\n"} {
			if name, _, _ := strings.Cut(key, ":"); !strings.Contains("\n"+block, "\n"+name+":") {
				block = key + block
			}
		}
		root, err := source.ParseYAML(source.NewFile("batch.yaml", []byte(block)), source.Limits{})
		if err != nil {
			t.Errorf("%s\n%v", block, err)
			continue
		}
		noteKeys(used, "", root)
		plan, findings := Compile(context.Background(), Source{File: source.NewFile("batch.yaml", []byte(block)), Dir: "testdata/docs", Env: env, Scripts: inChild})
		for _, d := range findings {
			if plan == nil || d.Severity == diag.Warning && d.Code != "expansion_not_asked" && d.Code != "input_not_uploaded" {
				t.Errorf("%s\n%s", block, print(findings))
				break
			}
		}
	}
	for _, key := range documented {
		if !used[key] {
			t.Errorf("no example of docs/batch.md has the key %s", key)
		}
	}
}

// documented are the keys that must have an example.
var documented = strings.Fields(`version name workflow templates seed inputs set sweep bind prompts endpoints schedule output gallery passes notify
	sweep.matrix sweep.zip sweep.include sweep.exclude sweep.sample prompts.mode prompts.count prompts.wildcards prompts.expand
	prompts.expand.endpoint prompts.expand.model prompts.expand.count prompts.expand.instruction prompts.expand.of prompts.expand.keep prompts.expand.braces prompts.expand.temperature
	prompts.expand.max-tokens prompts.expand.timeout schedule.objective schedule.deadline schedule.budget schedule.fuse schedule.retries schedule.hedge schedule.max-parallel schedule.fail-fast
	schedule.uncertain output.dir output.filename output.post gallery.title gallery.rows gallery.cols gallery.theme gallery.contact-sheet passes.drop-dead passes.only-asked passes.merge-equal
	notify.webhook notify.secret_env`)

// noteKeys enters the paths of all keys.
func noteKeys(used map[string]bool, path string, v *source.Value) {
	for i := range v.Members {
		m := &v.Members[i]
		used[path+m.Key] = true
		noteKeys(used, path+m.Key+".", m.Value)
	}
}
