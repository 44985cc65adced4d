package worker

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/comfyc/comfyc/scheduler"
)

const png = "iVBORw0KGgoAAAANSUhEUgAAABAAAAAICAIAAAB"

func TestParse(t *testing.T) {
	cases := []struct {
		name, output string
		want         []scheduler.Output
		problems     int
	}{
		{"from 5.0.0 on", `{"images":[{"filename":"a_00001_.png","type":"base64","data":"` + png + `"}]}`, []scheduler.Output{{Filename: "a_00001_.png", Base64: png}}, 0},
		{"bucket", `{"images":[{"filename":"a.png","type":"s3_url","data":"https://b/x.png?X-Amz-Signature=1"}]}`, []scheduler.Output{{Filename: "a.png", URL: "https://b/x.png?X-Amz-Signature=1"}}, 0},
		{"the type is wrong", `{"images":[{"filename":"a.png","type":"base64","data":"https://b/x.png"}]}`, []scheduler.Output{{Filename: "a.png", URL: "https://b/x.png"}}, 0},
		{"data URI", `{"images":[{"filename":"a.png","type":"base64","data":"data:image/png;base64,` + png + `"}]}`, []scheduler.Output{{Filename: "a.png", Base64: "data:image/png;base64," + png}}, 0},
		{"novita's worker", `{"images":[{"filename":"ComfyUI_00001_.png","url":"https://b/x.png"}]}`, []scheduler.Output{{Filename: "ComfyUI_00001_.png", URL: "https://b/x.png"}}, 0},
		{"below 5.0.0, base64", `{"message":"` + png + `","status":"success"}`, []scheduler.Output{{Base64: png}}, 0},
		{"below 5.0.0, bucket", `{"message":"https://b/x.png","status":"success","refresh_worker":false}`, []scheduler.Output{{URL: "https://b/x.png"}}, 0},
		{"some failed", `{"images":[{"filename":"a.png","type":"base64","data":"` + png + `"}],"errors":["Workflow execution error: Node Type: LoadImage, Node ID: 3, Message: bad"]}`, []scheduler.Output{{Filename: "a.png", Base64: png}}, 1},
		{"an upload failed", `{"images":[{"filename":"a.png","type":"s3_url","data":"https://b/x"}, null]}`, []scheduler.Output{{Filename: "a.png", URL: "https://b/x"}}, 1},
		{"bare texts", `["` + png + `","https://b/x"]`, []scheduler.Output{{Base64: png}, {URL: "https://b/x"}}, 0},
		{"one bare text", `"` + png + `"`, []scheduler.Output{{Base64: png}}, 0},
		{"images of texts", `{"images":["` + png + `"]}`, []scheduler.Output{{Base64: png}}, 0},
		{"one image", `{"image":"` + png + `"}`, []scheduler.Output{{Base64: png}}, 0},
		{"with node", `{"images":[{"filename":"a.png","node_id":"9","data":"` + png + `"}]}`, []scheduler.Output{{Filename: "a.png", Node: "9", Base64: png}}, 0},
	}
	for _, c := range cases {
		r := Parse([]byte(c.output))
		if r.Failure != nil {
			t.Errorf("%s: failed: %s", c.name, r.Failure.Message)
			continue
		}
		if len(r.Outputs) != len(c.want) || len(r.Problems) != c.problems {
			t.Errorf("%s: got %d outputs and problems %q", c.name, len(r.Outputs), r.Problems)
			continue
		}
		for i := range c.want {
			if r.Outputs[i] != c.want[i] {
				t.Errorf("%s: got %+v, want %+v", c.name, r.Outputs[i], c.want[i])
			}
		}
	}
}

func TestParsePaths(t *testing.T) {
	for _, data := range []string{"simulated_uploaded/ad8ef5cd.png", "local_upload/x.png"} {
		r := Parse([]byte(`{"images":[{"filename":"a.png","type":"s3_url","data":"` + data + `"}]}`))
		if len(r.Outputs) != 1 || r.Outputs[0].URL != "" || r.Outputs[0].Base64 != "" || !strings.Contains(r.Outputs[0].Problem, "BUCKET_ACCESS_KEY_ID") {
			t.Errorf("%s: %+v", data, r)
		}
	}
	for _, data := range []string{"/comfyui/output/a.png", "ftp://h/x", "file:///etc/passwd", "gs://bucket/x", "short"} {
		r := Parse([]byte(`{"images":[{"filename":"a.png","data":"` + data + `"}]}`))
		if len(r.Outputs) != 1 || r.Outputs[0].Problem == "" && r.Outputs[0].Base64 == "" || r.Outputs[0].URL != "" {
			t.Errorf("%s: %+v", data, r)
		}
	}
}

func TestParseFailures(t *testing.T) {
	cases := []struct {
		name, output string
		kind         scheduler.Kind
		says         string
	}{
		{"nothing", ``, scheduler.Lost, "size limit"},
		{"null", `null`, scheduler.Lost, "size limit"},
		{"nothing saved", `{"status":"success_no_images","images":[]}`, scheduler.Rejected, "saved no image"},
		{"empty list", `{"images":[]}`, scheduler.Rejected, "saved no image"},
		{"error inside", `{"error":"CUDA out of memory"}`, scheduler.OutOfMemory, "CUDA"},
		{"old error", `{"status":"error","message":"the image does not exist in the specified output folder: /x"}`, scheduler.WorkerFailed, "does not exist"},
		{"errors only", `{"images":[],"errors":["Node Type: KSampler, Node ID: 3, Message: Allocation on device 0 would exceed allowed memory"]}`, scheduler.OutOfMemory, "no image was made"},
		{"another form", `{"video":"x","audio":"y"}`, scheduler.Rejected, `"audio", "video"`},
		{"a blank error", `{"error":":"}`, scheduler.WorkerFailed, "no reason"},
		{"a number", `7`, scheduler.Rejected, "neither"},
		{"only nulls", `{"images":[null]}`, scheduler.WorkerFailed, "is empty"},
		{"broken", `{"images":`, scheduler.Transient, "cannot be read"},
	}
	for _, c := range cases {
		r := Parse([]byte(c.output))
		if r.Failure == nil {
			t.Errorf("%s: did not fail", c.name)
			continue
		}
		if r.Failure.Kind != c.kind || !strings.Contains(r.Failure.Message, c.says) {
			t.Errorf("%s: got %v %q, want %v with %q", c.name, r.Failure.Kind, r.Failure.Message, c.kind, c.says)
		}
	}
}

// TestParseBounds: what a worker sends has a limit everywhere.
func TestParseBounds(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	many := "[" + strings.Repeat(`"`+png+`",`, maxOutputs+10) + `"` + png + `"]`
	r := Parse([]byte(many))
	if len(r.Outputs) != maxOutputs || len(r.Problems) != 1 {
		t.Errorf("%d outputs, problems %q", len(r.Outputs), r.Problems)
	}
	r = Parse([]byte(`{"images":[{"filename":"` + long + `","data":"https://h/` + long + `"}],"errors":["` + long + `"]}`))
	if len(r.Outputs[0].Filename) > maxName+4 || r.Outputs[0].URL != "" || len(r.Problems[0]) > maxText+4 {
		t.Error("a long text was kept")
	}
	if f := Classify(long, []string{long, long}); len(f.Message) > maxText+100 {
		t.Errorf("a message of %d bytes", len(f.Message))
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{`null`, `"x"`, `[]`, `{"images":[{"filename":"a","type":"base64","data":"` + png + `"}],"errors":["e"]}`, `{"message":"https://h/x"}`,
		`{"error":" "}`, `{"error":":"}`, `{"error":{"message":"m"},"details":["d",1,null]}`, `{"status":"success_no_images","images":[]}`, `{"images":{"data":[1]}}`,
		`{"error":"Workflow validation failed:\n• Node 2 (errors): [{'type': 'required_input_missing', 'message': 'm', 'details': 'd'}]"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, output []byte) {
		r := Parse(output)
		if (r.Failure == nil) != (len(r.Outputs) > 0) {
			t.Fatalf("%q: %d outputs and failure %v", output, len(r.Outputs), r.Failure)
		}
		for _, out := range r.Outputs {
			set := 0
			for _, s := range []string{out.Base64, out.URL, out.Problem} {
				if s != "" {
					set++
				}
			}
			lower := strings.ToLower(out.URL)
			if set != 1 || out.URL != "" && !strings.HasPrefix(lower, "http://") && !strings.HasPrefix(lower, "https://") {
				t.Fatalf("%q: %+v", output, out)
			}
		}
		if r.Failure != nil && (r.Failure.Message == "" || !json.Valid(output) && r.Failure.Kind == scheduler.MissingModel) {
			t.Fatalf("%q: %+v", output, r.Failure)
		}
		if r.Failure != nil && utf8.Valid(output) && !utf8.ValidString(r.Failure.Message) {
			t.Fatalf("%q: message is not valid text", output)
		}
	})
}
