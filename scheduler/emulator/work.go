//lint:file-ignore ST1005 the error texts are the worker's own

package emulator

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"weak"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/comfyc/comfyc/compiler/source"
)

// work is what a worker needs for one job. It is read-only.
type work struct {
	prompt         []byte              // API form, as it came
	inputs         map[string]*content // by the names that the graph loads; nil for none
	targets        []string            // output nodes to run
	outputNode     string              // of Novita's worker
	bucket         *bucket             // the job's s3Config, nil if there is none
	extra          map[string]json.RawMessage
	files, picture string   // fingerprints
	prefixes       []string // filename_prefix of each saving node, for the statistics
	problem        *problem // why it cannot run at all
}

// problem is a job that fails before anything is rendered.
type problem struct {
	text    string
	details []string
}

// content is an input file. Equal contents are shared by all jobs that hold them.
type content struct {
	sum  [sha256.Size]byte
	data []byte // never changed
}

// contents finds equal contents again as long as somebody holds them.
type contents struct {
	mu    sync.Mutex
	known map[[sha256.Size]byte]weak.Pointer[content]
}

// intern gives the one content with these bytes.
func (c *contents) intern(data []byte) *content {
	sum := sha256.Sum256(data)
	c.mu.Lock()
	defer c.mu.Unlock()
	if have := c.known[sum].Value(); have != nil {
		return have
	}
	made := &content{sum, data}
	if c.known == nil {
		c.known = map[[sha256.Size]byte]weak.Pointer[content]{}
	}
	c.known[sum] = weak.Make(made)
	runtime.AddCleanup(made, c.forget, sum)
	return made
}

// forget is called some time after the last holder let go; the content may have come again since.
func (c *contents) forget(sum [sha256.Size]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known[sum].Value() == nil {
		delete(c.known, sum)
	}
}

// read parses a job's input as the workers do. What is wrong with it becomes the job's problem, not the request's.
func (ep *endpoint) read(input jsontext.Value) *work {
	w := &work{}
	in, err := source.ParseJSON(source.NewFile("input", input), promptLimits)
	// The worker takes its input as JSON text as well.
	if err == nil && in.Kind == source.String {
		in, err = source.ParseJSON(source.NewFile("input", []byte(in.Text)), promptLimits)
	}
	switch {
	case err != nil:
		return w.fail("Invalid JSON format in input")
	case in.Kind == source.Null:
		return w.fail("Please provide input")
	case in.Get("workflow") == nil || in.Get("workflow").Kind == source.Null:
		return w.fail("Missing 'workflow' parameter")
	}
	workflow := in.Get("workflow")
	// The bytes themselves and not the tree printed anew: a test sees what was sent, to the last blank. Copied, so that images of megabytes that
	// came with it can be freed.
	w.prompt = append([]byte(nil), in.File.Data[workflow.Start:workflow.End]...)
	w.outputNode = in.Get("output_node_id").Str()
	if ep.form == formNovita && w.outputNode == "" {
		return w.fail("Missing 'output_node_id' parameter")
	}
	if w.images(&ep.em.contents, in.Get("images")); w.problem != nil {
		return w
	}
	w.check(workflow, nil, ep.Models)
	return w
}

// fail notes the first and only reason why a job cannot run.
func (w *work) fail(text string, details ...string) *work {
	w.problem = &problem{text, details}
	return w
}

// check validates the prompt and notes what of it will run.
func (w *work) check(prompt *source.Value, targets, models []string) verdict {
	v := validate(prompt, targets, func(name string) bool { return w.inputs[name] != nil }, models)
	if text := v.refusal(); text != "" {
		w.fail(text)
	} else {
		w.targets = v.good
	}
	if !v.broken {
		w.files, w.picture = fingerprint(prompt, w.inputs)
		w.prefixes = prefixes(prompt)
	}
	return v
}

// images takes the uploads of a job.
func (w *work) images(store *contents, list *source.Value) {
	if list == nil || list.Kind == source.Null {
		return
	}
	const form = "'images' must be a list of objects with 'name' and 'image' keys"
	if list.Kind != source.Array {
		w.fail(form)
		return
	}
	var wrong []string
	w.inputs = map[string]*content{}
	for _, item := range list.Items {
		name, image := item.Get("name"), item.Get("image")
		if name == nil || image == nil {
			w.fail(form)
			return
		}
		data, err := decodeImage(name.Str(), image)
		if err == nil && w.inputs[name.Text] != nil {
			err = fmt.Errorf("Error uploading %s: the name is there twice", name.Text)
		}
		if err != nil {
			wrong = append(wrong, err.Error())
			continue
		}
		w.inputs[name.Text] = store.intern(data)
	}
	if wrong != nil {
		w.fail("Failed to upload one or more input images", wrong...)
	}
}

// decodeImage reads an upload: base64 with or without a data URI before it. As Python does, it passes over what is not of the alphabet.
func decodeImage(name string, image *source.Value) ([]byte, error) {
	switch {
	case name == "" || strings.Contains(name, ".."):
		return nil, fmt.Errorf("Error uploading %s: 400 Client Error: Bad Request for url: http://127.0.0.1:8188/upload/image", name)
	case strings.Contains(name, "/"):
		return nil, fmt.Errorf("Error uploading %s: 500 Server Error: Internal Server Error for url: http://127.0.0.1:8188/upload/image", name)
	case image.Kind != source.String:
		return nil, fmt.Errorf("Unexpected error processing image: %s is no text", name)
	}
	text := image.Text
	// Whatever stands before the first comma, as the worker does it: "data:image/png;base64,".
	if _, after, found := strings.Cut(text, ","); found {
		text = after
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err == nil {
		return data, nil
	}
	text = strings.Map(func(r rune) rune {
		if r < 128 && strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=", r) {
			return r
		}
		return -1
	}, text)
	if data, err = base64.StdEncoding.DecodeString(text); err != nil {
		return nil, fmt.Errorf("Error decoding base64 for %s: Incorrect padding", name)
	}
	return data, nil
}
