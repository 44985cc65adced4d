package worker

import (
	"strings"
	"testing"

	"github.com/comfyc/comfyc/scheduler"
)

// The texts are what runpod/worker-comfyui and ComfyUI really say.
func TestClassify(t *testing.T) {
	cases := []struct {
		text    string
		details []string
		kind    scheduler.Kind
		says    string
		node    string // blamed, "" for none
	}{
		{"Workflow validation failed:\n• Node 1 (errors): [{'type': 'value_not_in_list', 'message': 'Value not in list', 'details': \"ckpt_name: 'flux1-dev-fp8.safetensors' not in []\", 'extra_info': {'input_name': 'ckpt_name'}}]\n• Node 1 (dependent_outputs): ['4']\n• Node 1 (class_type): CheckpointLoaderSimple\n\nNo checkpoint models appear to be available.", nil,
			scheduler.MissingModel, "lacks the model flux1-dev-fp8.safetensors (ckpt_name)", "1"},
		{"Workflow validation failed:\n• Node 3 (errors): [{'type': 'value_not_in_list', 'message': 'Value not in list', 'details': \"sampler_name: 'eulr' not in ['euler', 'x.pt']\", 'extra_info': {}}]", nil, scheduler.Rejected, "eulr", "3"},
		{"Workflow validation failed:\n• Node 2 (errors): [{'type': 'required_input_missing', 'message': 'Required input is missing', 'details': 'images', 'extra_info': {'input_name': 'images'}}]", nil,
			scheduler.Rejected, "node 2: required_input_missing: Required input is missing (images)", "2"},
		{"Node 'NopeNode' not found. The custom node may not be installed.. Raw response: {\"error\": {\"type\": \"missing_node_type\", \"message\": \"Node 'NopeNode' not found.\", \"details\": \"Node ID '#1'\", \"extra_info\": {\"node_id\": \"1\"}}, \"node_errors\": {}}", nil,
			scheduler.MissingModel, "NopeNode", "1"},
		{"Prompt has no outputs. Raw response: {\"error\": {\"type\": \"prompt_no_outputs\"}}", nil, scheduler.Rejected, "no outputs", ""},
		{"Missing 'workflow' parameter", nil, scheduler.Rejected, "workflow", ""},
		{"Error queuing workflow: 500 Server Error: Internal Server Error for url: http://127.0.0.1:8188/prompt", nil, scheduler.WorkerFailed, "500", ""},
		{"Job processing failed", []string{"Workflow execution error: Node Type: LoadImage, Node ID: 1, Message: cannot identify image file 'x.png'\n"}, scheduler.WorkerFailed, "cannot identify", "1"},
		{"Job processing failed, prompt ID not found in history.", []string{"Workflow execution error: Node Type: LoadImage, Node ID: 3, Message: bad"}, scheduler.Lost, "lost track", "3"},
		{"Job processing failed", []string{"Workflow execution error: Node Type: KSampler, Node ID: 3, Message: CUDA out of memory. Tried to allocate 2.00 GiB"}, scheduler.OutOfMemory, "CUDA out of memory", "3"},
		{"Allocation on device 0 would exceed allowed memory.", nil, scheduler.OutOfMemory, "", ""},
		{"torch.OutOfMemoryError: x", nil, scheduler.OutOfMemory, "", ""},
		{"Error: [Errno 2] No such file or directory: '/comfyui/models/vae/ae.safetensors'", nil, scheduler.MissingModel, "ae.safetensors", ""},
		{"ComfyUI server (127.0.0.1:8188) not reachable after multiple retries.", nil, scheduler.Transient, "not well", ""},
		{"WebSocket communication error: closed", nil, scheduler.Transient, "", ""},
		{"Job processing failed", []string{"An error occurred (NoSuchBucket) when calling the PutObject operation"}, scheduler.Rejected, "BUCKET_ENDPOINT_URL", ""},
		{"Failed to upload one or more input images", []string{"Error decoding base64 for bad.png: Incorrect padding"}, scheduler.WorkerFailed, "Incorrect padding", ""},
		{"job timed out after 1 retries", nil, scheduler.Lost, "", ""},
		{"boom", nil, scheduler.WorkerFailed, "boom", ""},
		{"[Errno 2] No such file or directory: 'input/cat.png'\nloaded v1-5.safetensors", nil, scheduler.WorkerFailed, "cat.png", ""},
		{"[Errno 2] No such file or directory: 'input/cat.png' (after x.safetensors was loaded)", nil, scheduler.WorkerFailed, "cat.png", ""},
		{"File not found: cat.png, while running x.safetensors", nil, scheduler.WorkerFailed, "cat.png", ""},
		{"FileNotFoundError: No such file or directory: 'a.png'; No such file or directory: 'b.gguf'", nil, scheduler.MissingModel, "b.gguf", ""},
		{"FileNotFoundError: [Errno 2] No such file or directory: \"/m/x.safetensors\"", nil, scheduler.MissingModel, "x.safetensors", ""},
		{"Model upscale/4x.pth not found, see list.txt", nil, scheduler.MissingModel, "4x.pth", ""},
		{"file not found: models/flux dev.sft", nil, scheduler.MissingModel, "dev.sft", ""},
	}
	for _, c := range cases {
		f := Classify(c.text, c.details)
		if f.Kind != c.kind || !strings.Contains(f.Message, c.says) {
			t.Errorf("%.60q: got %v %q, want %v with %q", c.text, f.Kind, f.Message, c.kind, c.says)
		}
		if c.node == "" && f.NodeErrors != nil || c.node != "" && f.NodeErrors[c.node] == "" {
			t.Errorf("%.60q: blamed %v, want node %q", c.text, f.NodeErrors, c.node)
		}
	}
}

func TestText(t *testing.T) {
	for raw, want := range map[string]string{
		``: "", `null`: "", `""`: "", `"boom"`: "boom", `{"message":"m"}`: "m", `{"error":{"message":"deep"}}`: "deep", `["a","b"]`: "a\nb", `7`: "7",
		`"{\"error_type\": \"<class 'torch.OutOfMemoryError'>\", \"error_message\": \"no memory\", \"error_traceback\": \"secret\"}"`: "torch.OutOfMemoryError: no memory",
		`{"code":5}`: `{"code":5}`,
	} {
		if got := Text([]byte(raw)); got != want {
			t.Errorf("Text(%s) = %q, want %q", raw, got, want)
		}
	}
}

// Lists and objects without end are looked into for some levels only; what is deeper is shown as it stands.
func TestTextDeep(t *testing.T) {
	for raw, want := range map[string]string{
		strings.Repeat("[", 7) + `"x"` + strings.Repeat("]", 7):                                               "x",
		strings.Repeat(`{"error":`, 7) + `"x"` + strings.Repeat("}", 7):                                       "x",
		strings.Repeat("[", 2000) + `"x"` + strings.Repeat("]", 2000):                                         strings.Repeat("[", 1992) + `"x"`,
		strings.Repeat(`{"message":[`, 1000) + `"x"` + strings.Repeat("]}", 1000):                             `{"message":[{"message":[`,
		strings.Repeat("[", 100_000) + `"x"` + strings.Repeat("]", 100_000):                                   "[[[[",
		`["` + strings.Repeat(`y`, 300_000) + `",` + strings.Repeat("[", 9) + `"x"` + strings.Repeat("]", 10): "yyyy",
	} {
		if got := Text([]byte(raw)); !strings.HasPrefix(got, want) || len(got) > 4*maxText+10 {
			t.Errorf("Text(%.40s) = %.60q in %d bytes, want %.40q", raw, got, len(got), want)
		}
		if got := Texts([]byte(raw)); len(got) == 0 || len(got) > 2 {
			t.Errorf("Texts(%.40s): %d texts", raw, len(got))
		}
	}
}

func TestEmpty(t *testing.T) {
	for raw, want := range map[string]bool{"": true, "null": true, " null ": true, `""`: true, "[]": true, "{}": true, "0": false, `"x"`: false, "false": false, "[null]": false} {
		if got := Empty([]byte(raw)); got != want {
			t.Errorf("Empty(%s) = %v", raw, got)
		}
	}
}

func TestReadRefusal(t *testing.T) {
	f := ReadRefusal([]byte(`{"error":{"type":"prompt_outputs_failed_validation","message":"Prompt outputs failed validation","details":""},"node_errors":{
		"1":{"errors":[{"type":"value_smaller_than_min","message":"Value 0 smaller than min of 1","details":"width"}],"dependent_outputs":["5"],"class_type":"EmptyImage"}}}`))
	if f.Kind != scheduler.Rejected || f.NodeErrors["1"] != "value_smaller_than_min: Value 0 smaller than min of 1 (width)" {
		t.Errorf("got %+v", f)
	}
	f = ReadRefusal([]byte(`{"error":{"type":"x","message":"m"},"node_errors":{"4":{"errors":[{"type":"value_not_in_list","message":"Value not in list","details":"ckpt_name: 'a.safetensors' not in []"}]}}}`))
	if f.Kind != scheduler.MissingModel || !strings.Contains(f.Message, "a.safetensors") {
		t.Errorf("got %+v", f)
	}
	if f := ReadRefusal([]byte(`[]`)); f.Message != "" || f.NodeErrors != nil {
		t.Errorf("got %+v", f)
	}
}

func FuzzClassify(f *testing.F) {
	f.Add("Workflow validation failed:\n• Node 2 (errors): [{'type': 'a', 'message': \"b\\\"c\", 'details': ''}]", "Node Type: X, Node ID: 3, Message: y")
	f.Add(`x. Raw response: {"error":{"type":"t"},"node_errors":{"1":{"errors":[{}]}}}`, "")
	f.Fuzz(func(t *testing.T, text, detail string) {
		got := Classify(text, []string{detail})
		if len(got.Message) > 2*maxText || len(got.NodeErrors) > 4*maxProblems {
			t.Errorf("%d bytes, %d nodes", len(got.Message), len(got.NodeErrors))
		}
	})
}
