package worker

import (
	"regexp"
	"strings"

	"github.com/comfyc/comfyc/scheduler"
)

// Failure is what a worker's error texts mean.
type Failure struct {
	Kind       scheduler.Kind
	Message    string
	NodeErrors map[string]string // node id → text, nil if no node is to blame
}

// sign is a way in which workers say something. The text that is searched is in lower case.
type sign struct {
	kind  scheduler.Kind
	texts []string // any of them
	hint  string   // added to the message, "" for none
}

// signs are looked at in this order: what a bigger GPU or another endpoint would mend comes before what is merely a failure. The texts are
// those of torch and CUDA (memory), ComfyUI (nodes, outputs), worker-comfyui's handler (history, websocket, input) and boto3 (buckets). A worker
// that loses a job from its history has often saved good pictures before, and the same job mostly succeeds elsewhere: so Lost, not Rejected.
var signs = []sign{
	{scheduler.OutOfMemory, []string{"out of memory", "outofmemory", "allocation on device", "cublas_status_alloc_failed"}, ""},
	{scheduler.MissingModel, []string{"missing_node_type", "custom node may not be installed", "cannot execute because node"}, ""},
	{scheduler.Lost, []string{"not found in history"}, "the worker lost track of a job whose run failed"},
	{scheduler.Rejected, []string{"prompt_no_outputs", "prompt has no outputs", "missing 'workflow' parameter", "'images' must be a list", "invalid json format in input", "please provide input"}, ""},
	{scheduler.Rejected, []string{"nosuchbucket", "invalidaccesskeyid", "signaturedoesnotmatch", "could not connect to the endpoint url", "nocredentials", "unable to locate credentials"}, "the endpoint's bucket settings (BUCKET_ENDPOINT_URL, BUCKET_ACCESS_KEY_ID, BUCKET_SECRET_ACCESS_KEY) are wrong"},
	{scheduler.Transient, []string{"not reachable after", "websocket communication error", "connection refused", "connection reset", "timed out waiting for comfyui"}, "ComfyUI on the worker is not well"},
	{scheduler.Lost, []string{"execution timeout", "job timed out", "executiontimeout"}, "the platform's execution time-out ended the job"},
}

// The ways in which the lack of a model is said.
var (
	// Both quotes may come escaped, as the text is often JSON inside of a Python string.
	// notInList finds the value in "ckpt_name: 'x.safetensors' not in […]".
	notInList = regexp.MustCompile(`(\w+): \\?['"]([^'"]+)\\?['"] not in`)
	// noSuchFile finds a model that a node could not open.
	noSuchFile = regexp.MustCompile(`(?i)(?:no such file or directory|file not found|filenotfounderror|model .{0,200}not found)`)
	// mention finds a file in such a complaint: what is quoted, or a word with an ending.
	mention   = regexp.MustCompile(`['"][^'"\n]+['"]|[^\s'"]+\.[A-Za-z]\w{1,11}\b`)
	modelName = regexp.MustCompile(`(?i)\.(safetensors|sft|ckpt|pth?|bin|gguf|onnx)\b`)
)

// Classify says what an error text and its details mean. The default is WorkerFailed: the job ran and failed.
func Classify(text string, details []string) *Failure {
	all := join(text, details)
	f := &Failure{Kind: scheduler.WorkerFailed, Message: shorten(summary(text, details), maxText), NodeErrors: nodeErrors(all)}
	// Before the signs: the text of a missing model often says "validation failed" or even "connection" as well.
	if found, ok := missingModel(all); ok {
		f.Kind = scheduler.MissingModel
		f.Message = found
		return f
	}
	lower := strings.ToLower(all)
	for _, s := range signs {
		if !containsAny(lower, s.texts) {
			continue
		}
		f.Kind = s.kind
		if s.hint != "" {
			f.Message += " (" + s.hint + ")"
		}
		return f
	}
	// The graph is at fault, not the worker: no other endpoint would take it.
	if strings.Contains(lower, "validation failed") || strings.Contains(lower, "failed_validation") {
		f.Kind = scheduler.Rejected
	}
	return f
}

// missingModel finds a model's file that the worker does not have. An option that is wrong, such as a sampler's name, is none.
func missingModel(text string) (string, bool) {
	for _, m := range notInList.FindAllStringSubmatch(text, -1) {
		if modelName.MatchString(m[2]) {
			return "the endpoint lacks the model " + m[2] + " (" + m[1] + ")", true
		}
	}
	for _, at := range noSuchFile.FindAllStringIndex(text, maxProblems) {
		line, _, _ := strings.Cut(text[at[0]:], "\n")
		if modelName.MatchString(named(text[at[0]:at[1]], line)) {
			return "the endpoint lacks a model: " + shorten(line, 300), true
		}
	}
	return "", false
}

// named is the file that a complaint is about: the last one within the words of the complaint ("model x.ckpt not found"), or else the first one
// in its line. Files that are named later are others.
func named(complaint, line string) string {
	if within := mention.FindAllString(complaint, -1); len(within) > 0 {
		return within[len(within)-1]
	}
	return mention.FindString(line)
}

// IsModel tells whether a text looks like the file name of a model.
func IsModel(name string) bool { return modelName.MatchString(name) }

// containsAny tells whether one of the parts is in the text.
func containsAny(text string, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}

// summary is the message for the user: the text's first line and the details.
func summary(text string, details []string) string {
	// The first line says what failed; the lines of a traceback behind it are of no use to whoever wrote the workflow.
	line, rest, _ := strings.Cut(text, "\n")
	if before, _, found := strings.Cut(line, ". Raw response: "); found {
		line = before
	}
	parts := append([]string{}, details...)
	if len(details) == 0 && strings.TrimSpace(rest) != "" {
		for _, e := range validationErrors(rest) {
			parts = append(parts, "node "+e.node+": "+e.text)
		}
	}
	line = strings.TrimRight(line, ": ")
	if line == "" {
		line = "the worker failed and gave no reason"
	}
	return join(line, parts)
}
