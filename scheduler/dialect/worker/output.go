package worker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
	"strings"

	"github.com/comfyc/comfyc/scheduler"
)

// Bounds of what is taken from one output: how many files and problems, and the bytes of a text, a file's name and an address. Signed
// addresses have some hundred bytes to two thousand.
const (
	maxOutputs  = 4096
	maxProblems = 64
	maxText     = 2000
	maxName     = 512
	maxAddress  = 8 << 10
)

// Result is what a worker's output says.
type Result struct {
	Outputs  []scheduler.Output
	Problems []string // of a job that is done all the same
	Failure  *Failure // nil if there is something to collect
}

// Parse reads the output of a job that is COMPLETED, in every form that is known:
//
//	{"images": [{"filename", "type": "base64" | "s3_url", "data"}], "errors": […]}   worker-comfyui from 5.0.0 on
//	{"message": base64 or address, "status"}                                       before 5.0.0
//	{"images": [{"filename", "url"}]}                                              novitalabs/comfyui-worker
//	{"images": [base64 | data URI | address]}, a bare string, a bare list          builds derived from them
//	{"status": "success_no_images", "images": []}                                  nothing was saved
//	{"error": …, "details": […]}, {"status": "error", "message": …}                failed, though COMPLETED
func Parse(output []byte) Result {
	output = bytes.TrimSpace(output)
	// The platform drops an output that is too large for it and leaves the job COMPLETED.
	if len(output) == 0 || string(output) == "null" {
		return failed(scheduler.Lost, "the job is COMPLETED but came without output: most often the output was over the platform's size limit; let the worker upload to a bucket, or ask for smaller images or fewer per job")
	}
	var r Result
	switch output[0] {
	// Made a list of one, so that a bare picture goes the way of all others.
	case '"':
		r.addItems(json.RawMessage("[" + string(output) + "]"))
	case '[':
		r.addItems(output)
	case '{':
		return parseObject(output)
	default:
		return failed(scheduler.Rejected, "the worker's output is neither text, list nor object: "+shorten(string(output), 80))
	}
	if len(r.Outputs) == 0 {
		return failed(scheduler.Rejected, join("the worker's output holds no images", r.Problems))
	}
	return r
}

// failed is a result without outputs.
func failed(kind scheduler.Kind, message string) Result {
	return Result{Failure: &Failure{Kind: kind, Message: message}}
}

// parseObject reads the forms that are objects. An error beats whatever else there is.
func parseObject(output []byte) Result {
	members, err := membersOf(output)
	if err != nil {
		return failed(scheduler.Transient, "the worker's output cannot be read: "+err.Error())
	}
	if text := Text(members["error"]); text != "" {
		return Result{Failure: Classify(text, Texts(members["details"]))}
	}
	// `message` alone is no sign of failure: before 5.0.0 the picture itself stood there.
	if text := Text(members["message"]); text != "" && Text(members["status"]) == "error" {
		return Result{Failure: Classify(text, nil)}
	}
	r := Result{Problems: Texts(members["errors"])}
	known := false
	// In a fixed order, so that the outputs of one answer always have the same numbers.
	for _, key := range []string{"images", "message", "image", "url", "urls"} {
		if value, ok := members[key]; ok {
			known = true
			r.addItems(value)
		}
	}
	if len(r.Outputs) > 0 {
		return r
	}
	return Result{Failure: nothing(members, known, r.Problems)}
}

// nothing explains an object without any output.
func nothing(members map[string]json.RawMessage, known bool, problems []string) *Failure {
	switch {
	case len(problems) > 0:
		return Classify("no image was made", problems)
	case Text(members["status"]) == "success_no_images" || known:
		return &Failure{Kind: scheduler.Rejected, Message: "the worker ran the job and saved no image: it returns only what SaveImage and its like write, and drops without a word the branches that fail its validation"}
	}
	keys := make([]string, 0, len(members))
	for key := range members {
		keys = append(keys, fmt.Sprintf("%q", shorten(key, 40)))
	}
	sort.Strings(keys)
	return &Failure{Kind: scheduler.Rejected, Message: "the worker's output is of no known form; it has the keys " + strings.Join(keys[:min(len(keys), 10)], ", ")}
}

// addItems takes one item or a list of them.
func (r *Result) addItems(value json.RawMessage) {
	items := itemsOf(value)
	for i, item := range items {
		if len(r.Outputs) >= maxOutputs {
			r.problem(fmt.Sprintf("only the first %d of %d outputs are taken", maxOutputs, len(items)))
			return
		}
		r.addItem(i, item)
	}
}

// item is an entry of images, of any form.
type item struct {
	Filename string `json:"filename"`
	Name     string `json:"name"`
	Type     string `json:"type"`
	Data     string `json:"data"`
	URL      string `json:"url"`
	Image    string `json:"image"`
	Node     string `json:"node_id"`
	Error    string `json:"error"`
}

// addItem takes an item that is a text or an object.
func (r *Result) addItem(i int, raw json.RawMessage) {
	var it item
	// A text, or null, which decodes into one as "" and is told of below as empty. The kind is looked at first, since an object may hold megabytes.
	into := any(&it.Data)
	if raw = bytes.TrimSpace(raw); len(raw) > 0 && raw[0] == '{' {
		into = &it
	}
	if json.Unmarshal(raw, into) != nil {
		r.problem(fmt.Sprintf("output %d is not an image: %s", i+1, shorten(string(raw), 80)))
		return
	}
	content := first(it.Data, it.URL, it.Image)
	if content == "" {
		// An upload that failed leaves a null behind.
		r.problem(join(fmt.Sprintf("output %d of the worker is empty", i+1), []string{it.Error}))
		return
	}
	out := scheduler.Output{Filename: shorten(first(it.Filename, it.Name), maxName), Node: shorten(it.Node, maxName)}
	place(&out, content)
	r.Outputs = append(r.Outputs, out)
}

// problem notes what went wrong with a part, up to a bound.
func (r *Result) problem(text string) {
	if len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, text)
	}
}

// bucketAdvice is for paths that workers give when they were told to use a bucket and could not.
const bucketAdvice = "%s is a path on the worker, not an address: the endpoint has BUCKET_ENDPOINT_URL without a valid BUCKET_ACCESS_KEY_ID and BUCKET_SECRET_ACCESS_KEY; set them, or remove it to get images as base64"

// place tells content from address. What it is decides, not the worker's `type`: derived builds leave it out, or write "base64" beside an address.
// A path on the worker must never pass as an address, as it could then be joined with some host.
func place(out *scheduler.Output, content string) {
	lower := strings.ToLower(content[:min(len(content), 32)])
	switch {
	case strings.HasPrefix(lower, "http://"), strings.HasPrefix(lower, "https://"):
		if out.URL = content; len(content) > maxAddress {
			out.URL, out.Problem = "", "the output's address is longer than 8 KiB"
		}
	case strings.HasPrefix(lower, "simulated_uploaded/"), strings.HasPrefix(lower, "local_upload/"):
		out.Problem = fmt.Sprintf(bucketAdvice, shorten(content, 80))
	case strings.HasPrefix(lower, "data:"), isBase64(content):
		out.Base64 = content
	default:
		out.Problem = fmt.Sprintf("the output is neither base64 nor an http address: %q", shorten(content, 80))
	}
}

// isBase64 looks at the beginning; the rest is checked when it is decoded. Both alphabets and line breaks are taken.
func isBase64(content string) bool {
	for _, c := range []byte(content[:min(len(content), 256)]) {
		switch {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case strings.IndexByte("+/-_=\r\n", c) >= 0:
		default:
			return false
		}
	}
	// The smallest PNG has 67 bytes; shorter than 16 signs is a word such as "none" or "error".
	return len(content) >= 16
}

// first is the first text that is not empty.
func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
