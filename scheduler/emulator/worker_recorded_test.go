package emulator

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler/source"
)

// apart are the recorded cases whose text is another here, and why.
var apart = map[string]string{
	"09": "SaveAnimatedWEBP is no class of the preview worker",
	"45": "the real worker lost a race; here the reason is told",
	"46": "the decoder words it otherwise",
	"51": "a Python traceback",
	"62": "a shortened recording",
	"61": "refers to an upload of an earlier job; here every job has its own input folder",
	"29": "a Python traceback",
}

// TestWorkerRecorded sends what was sent to a real worker-comfyui, in the same order, and compares state, error text, and the names and
// number of images.
func TestWorkerRecorded(t *testing.T) {
	text, err := os.ReadFile(shared(t, "wire/worker-comfyui/base64.transcript.json"))
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := source.ParseJSON(source.NewFile("transcript", text), source.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	c := direct1(t, start(t, Config{Endpoints: []Endpoint{{Name: "wc", MaxWorkers: 1, OutputBytes: -1, Models: []string{}}}}))
	compared := 0
	for _, m := range recorded.Members {
		body := m.Value.Get("request")
		got := c.do("POST", "/v2/wc/runsync", string(body.AppendJSON(nil))).value(t)
		if why, ok := apart[m.Key[:2]]; ok {
			t.Logf("%s: not compared: %s", m.Key, why)
			continue
		}
		compared++
		want := summarize(m.Value.Get("body"))
		if have := summarize(got); have != want {
			t.Errorf("%s:\n have %s\n want %s", m.Key, have, want)
		}
	}
	if compared < 30 {
		t.Errorf("only %d cases were compared", compared)
	}
}

// summarize gives what of an answer must be the same.
func summarize(v *source.Value) string {
	type summary struct {
		Status, Error string
		Keys, Images  []string
	}
	s := summary{Status: v.Get("status").Str(), Error: v.Get("error").Str()}
	if i := strings.Index(s.Error, "'input_config'"); i > 0 {
		s.Error = s.Error[:i] // the recorded server's definitions hold tooltips, the catalogue's do not
	}
	if out := v.Get("output"); out != nil && s.Status == "COMPLETED" {
		for _, m := range out.Members {
			s.Keys = append(s.Keys, m.Key)
		}
		for _, img := range out.Get("images").Items {
			data, err := base64.StdEncoding.DecodeString(img.Get("data").Str())
			if err != nil || !strings.HasPrefix(string(data), "\x89PNG") {
				data = nil
			}
			s.Images = append(s.Images, img.Get("filename").Str()+" "+img.Get("type").Str()+map[bool]string{true: " png"}[data != nil])
		}
	}
	slices.Sort(s.Keys)
	text, _ := json.Marshal(s)
	return string(text)
}
