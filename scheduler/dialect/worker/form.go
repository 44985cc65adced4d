// Package worker knows the worker images that run ComfyUI behind a platform's queue: the input that each takes, the output that it
// gives, and what its error texts mean. The platforms pass both through as they are, so a form is independent of the platform.
//
// Output is read by its content, not by the image's version: an endpoint's image is what its owner says it is, and often a build of
// their own. Everything in it is suspect; names, texts and counts are bounded, and a path on the worker never becomes an address.
//
// All functions are pure, but for the reading of input files through [Options.ReadFile], and safe for concurrent use.
package worker

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/source"
)

// Form is how an image takes jobs. For example, for a graph with one input file:
//
//	runpod/worker-comfyui      {"input":{"workflow":{…},"images":[{"name":"cat.png","image":"iVBOR…"}]}}
//	novitalabs/comfyui-worker  {"input":{"workflow":{…},"output_node_id":"9"}}
type Form struct {
	Name      string // repository of the image
	OneOutput bool   // it gives back the files of one node only
	input     func(b []byte, job *compiler.Job, o Options) ([]byte, error)
}

// forms, one line each; the first is the default. Below 5.0.0 the first image was named runpod-worker-comfy, took the same input and
// gave a `message`.
var forms = []Form{
	{"runpod/worker-comfyui", false, workflowAndImages},
	{"timpietruskyblibla/runpod-worker-comfy", false, workflowAndImages},
	{"novitalabs/comfyui-worker", true, workflowAndOutputNode},
}

// Find gives the form of an image, such as "docker.io/runpod/worker-comfyui:5.5.0-flux1-dev". An image that is not known is taken to
// have the form of runpod/worker-comfyui, which most builds derive from.
func Find(image string) Form {
	// A digest, then a tag: the colon counts only behind the last slash, since "host:5000/image" has one for the port.
	name, _, _ := strings.Cut(image, "@")
	if slash, colon := strings.LastIndex(name, "/"), strings.LastIndex(name, ":"); colon > slash {
		name = name[:colon]
	}
	for _, f := range forms {
		if name == f.Name || strings.HasSuffix(name, "/"+f.Name) {
			return f
		}
	}
	return forms[0]
}

// Options for a job's body.
type Options struct {
	Aliases    map[string]string            // model names in the graph → on the endpoint
	OutputNode string                       // for forms that ask for one; "" means the job's first
	ReadFile   func(string) ([]byte, error) // os.ReadFile if nil
	Limit      int64                        // bytes of the whole body, 0 for none
}

// SizeError says that a job is over the limit, and what of it is large.
type SizeError struct{ Bytes, Limit, Prompt, Files int64 }

// Error names the parts; sizes in bytes, since limits are.
func (e *SizeError) Error() string {
	return fmt.Sprintf("the job has %d bytes (workflow %d, input files as base64 %d), the endpoint takes %d", e.Bytes, e.Prompt, e.Files, e.Limit)
}

// Body writes what is posted for a job: {"input": {…}}. An error means that the job can not be sent to this endpoint.
func (f Form) Body(job *compiler.Job, o Options) ([]byte, error) {
	prompt, err := Rename(job.Prompt, o.Aliases)
	if err != nil {
		return nil, err
	}
	// A shallow copy: a job is shared by the attempts on several endpoints, each with aliases of its own.
	renamed := *job
	renamed.Prompt = prompt
	if err := checkSize(&renamed, o.Limit, 0); err != nil {
		return nil, err
	}
	// Written by appending and not by json.Marshal: the prompt is JSON already, and parsing could change its numbers (a seed up to 2^64-1).
	body, err := f.input([]byte(`{"input":{"workflow":`), &renamed, o)
	if err != nil {
		return nil, err
	}
	body = append(body, "}}"...)
	return body, checkSize(&renamed, o.Limit, int64(len(body)))
}

// checkSize tells before any file is read whether the job fits, and once more when its size is known exactly.
func checkSize(job *compiler.Job, limit, exact int64) error {
	e := SizeError{Bytes: exact, Limit: limit, Prompt: int64(len(job.Prompt))}
	for _, file := range job.Files {
		// Base64 makes four bytes of each three that were begun.
		e.Files += (file.Size + 2) / 3 * 4
	}
	if exact == 0 {
		e.Bytes = e.Prompt + e.Files
	}
	if limit > 0 && e.Bytes > limit {
		return &e
	}
	return nil
}

// workflowAndImages writes worker-comfyui's input: images are sent along as base64, under the names that the graph loads.
func workflowAndImages(b []byte, job *compiler.Job, o Options) ([]byte, error) {
	b = append(b, job.Prompt...)
	if len(job.Files) == 0 {
		return b, nil
	}
	b = append(b, `,"images":[`...)
	for i, file := range job.Files {
		content, err := ReadInput(file, o.ReadFile)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"name":`...)
		b = source.AppendQuoted(b, file.Name)
		b = append(b, `,"image":"`...)
		b = base64.StdEncoding.AppendEncode(b, content)
		b = append(b, `"}`...)
	}
	return append(b, ']'), nil
}

// workflowAndOutputNode writes the input of Novita's own worker, which names the one node whose images are wanted and documents no
// way to bring files along.
func workflowAndOutputNode(b []byte, job *compiler.Job, o Options) ([]byte, error) {
	if len(job.Files) > 0 {
		return nil, fmt.Errorf("the worker takes no input files, and the workflow loads %s; use an endpoint with runpod/worker-comfyui", job.Files[0].Name)
	}
	node := o.OutputNode
	if node == "" {
		node = job.OutputNode
	}
	b = append(b, job.Prompt...)
	b = append(b, `,"output_node_id":`...)
	return source.AppendQuoted(b, node), nil
}

// ReadInput reads an input file and makes sure that it is still the one that was planned with. The worker refuses names with a slash or
// "..", and all are hashed into the render's id, so a changed file would be filed under a picture that it does not make.
func ReadInput(file compiler.InputFile, read func(string) ([]byte, error)) ([]byte, error) {
	if file.Name == "" || strings.ContainsAny(file.Name, `/\`) || strings.Contains(file.Name, "..") {
		return nil, fmt.Errorf("the input file's name %q is not one that workers take", file.Name)
	}
	if read == nil {
		read = os.ReadFile
	}
	content, err := read(file.Path)
	if err != nil {
		return nil, fmt.Errorf("read input: %w", err)
	}
	if sum := sha256.Sum256(content); file.SHA256 != "" && hex.EncodeToString(sum[:]) != strings.ToLower(file.SHA256) {
		return nil, fmt.Errorf("the input %s was changed after the plan was made", file.Path)
	}
	return content, nil
}
