package worker

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/scheduler"
)

// recordings lie beside the repository; without them the project's own texts in the other tests stand for them.
const recordings = "../../../../shared/wire/worker-comfyui"

// TestRecorded reads every answer that a real worker gave.
func TestRecorded(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(recordings, "*.transcript.json"))
	if err != nil || len(files) == 0 {
		t.Skip("the recorded exchanges are not here: " + recordings)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var cases map[string]struct {
			Body struct {
				Status string          `json:"status"`
				Output json.RawMessage `json:"output"`
				Error  json.RawMessage `json:"error"`
			} `json:"body"`
		}
		if err := json.Unmarshal(data, &cases); err != nil {
			t.Fatal(err)
		}
		for name, c := range cases {
			if c.Body.Status == "COMPLETED" {
				checkCompleted(t, filepath.Base(file)+" "+name, c.Body.Output)
			} else if f := Classify(Text(c.Body.Error), nil); recordedKind(name) != f.Kind {
				t.Errorf("%s %s: got %v %q, want %v", filepath.Base(file), name, f.Kind, f.Message, recordedKind(name))
			}
		}
	}
}

func checkCompleted(t *testing.T, name string, output []byte) {
	if strings.Contains(string(output), " chars]") {
		return // the recorder cut a long one short
	}
	r := Parse(output)
	if strings.Contains(string(output), "success_no_images") {
		if r.Failure == nil || r.Failure.Kind != scheduler.Rejected {
			t.Errorf("%s: nothing was saved, got %+v", name, r)
		}
		return
	}
	if want := strings.Count(string(output), `"filename"`); r.Failure != nil || len(r.Outputs) != want {
		t.Errorf("%s: %d outputs of %d, failure %+v", name, len(r.Outputs), want, r.Failure)
		return
	}
	for _, out := range r.Outputs {
		simulated := strings.Contains(string(output), "simulated_uploaded")
		if out.Filename == "" || (out.Problem != "") != simulated || out.Problem == "" && (out.URL == "") == (out.Base64 == "") {
			t.Errorf("%s: %+v", name, out)
		}
	}
}

// recordedKind is what the numbered cases should be classed as: the case's name tells what was sent.
func recordedKind(name string) scheduler.Kind {
	switch number := name[:2]; {
	case number == "26", number == "27", number == "33":
		return scheduler.MissingModel
	case number == "45":
		return scheduler.Lost
	case number >= "20" && number <= "22", number == "25", number >= "28" && number <= "36", number == "40", number == "41":
		return scheduler.Rejected
	}
	return scheduler.WorkerFailed
}
