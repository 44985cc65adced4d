package queue

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// JobSpec is a job as a compatible face has read it.
// Everything in it is checked by the face as far as its form goes; what it means is checked here.
type JobSpec struct {
	ID       string        // "" makes one
	Kind     string        // of the face
	Pool     string        // must be a pool of the configuration
	Text     *source.File  // what the client sent, for the places of findings
	Workflow *source.Value // API or UI form
	Images   []File        // by the names that the workflow loads them under
	Job      Job           // time-out, deadline, prefixes
	Secrets  Secrets       // sealed before anything is stored
	Priority int           // added to the key's own; lowPriority is -1
	Front    bool          // before what else of the key waits in the pool
	Idem     string        // the client's Idempotency-Key; "" for none
}

// SubmitJob makes a job durable. A workflow with mistakes becomes a job that has failed, with the findings as its error: nothing is paid
// for it. See Submit for errors, and seal.ErrNoKey for a secret that cannot be kept.
// fresh is false if the same submit came before: then the work of then is given.
func (q *Queue) SubmitJob(ctx context.Context, k *keys.Key, s JobSpec) (ledger.Work, bool, []diag.Diagnostic, error) {
	now := q.Now()
	if s.ID == "" {
		s.ID = NewID(now)
	}
	o := &ledger.Order{Work: ledger.Work{ID: s.ID, Kind: s.Kind, Pool: s.Pool, Renders: 1, Created: now, Priority: s.Priority, Front: s.Front}, Idem: s.Idem}
	r, findings := q.jobRequest(&s)
	if r == nil {
		r = &Request{Job: &s.Job} // a row is written all the same, for the client to ask about
	}
	sum := r.Sum()
	o.IdemHash = sum[:]
	var err error
	// Before the row, so that no secret is ever in the ledger in clear text.
	if o.Sealed, err = q.Seal(s.ID, s.Secrets); err != nil {
		return ledger.Work{}, false, nil, err
	}
	// Such a row is final from the start: it is never queued, and expires like any job that failed.
	if failed := errorsOf(findings); len(failed) > 0 {
		o.State, o.Finished, o.Error = ledger.Failed, now, strings.Join(failed, "\n")
		o.Expires = q.expiry(o.Work)
		result, merr := json.Marshal(JobResult{Code: "invalid_workflow", Details: failed})
		if merr != nil {
			return ledger.Work{}, false, nil, merr
		}
		o.Result = string(result)
	}
	w, fresh, err := q.Submit(ctx, k, o, r)
	if err == nil && fresh && w.State.Final() { // nobody else would send the webhook of a job that never runs
		q.told(w)
	}
	return w, fresh, findings, err
}

// errorsOf prints the findings that stop a job, one line each.
// For example: "request.json:1:88: input "steps" of KSampler is too small [value_smaller_than_min] (node 3)".
func errorsOf(findings []diag.Diagnostic) (out []string) {
	for _, d := range findings {
		if d.Severity != diag.Error {
			continue
		}
		line := d.Message + " [" + d.Code + "]"
		if d.Place.File != nil {
			line = diag.Where(d.Place) + ": " + line
		}
		if d.Node != "" {
			line += " (node " + d.Node + ")"
		}
		if d.Hint != "" {
			line += "; " + d.Hint
		}
		out = append(out, line)
	}
	return out
}

// jobRequest makes the batch of one render that a job is, and compiles it. The request is nil if there is no workflow.
// p is not nil: faces have checked the pool. With a request and findings together, the findings say why it cannot run.
func (q *Queue) jobRequest(s *JobSpec) (*Request, []diag.Diagnostic) {
	p := q.pools[s.Pool]
	if s.Workflow == nil || s.Workflow.Kind != source.Object {
		return nil, []diag.Diagnostic{diag.Errorf("malformed_prompt", diag.Place{}, "the input holds no workflow: {\"input\": {\"workflow\": {…}}}")}
	}
	prompt := s.Workflow
	if list := prompt.Get("nodes"); list != nil && list.Kind == source.Array { // only the UI form has a list of nodes
		converted, findings := compiler.Convert(source.NewFile("workflow.json", prompt.AppendJSON(nil)), q.Catalogue)
		if converted == nil {
			return nil, findings
		}
		prompt = converted
	}
	inputs := s.attach(prompt)
	// The job becomes a batch text, so that one path compiles, checks and stores both.
	batch := source.NewObject(source.Member{Key: "version", Value: source.NewInt(1)}, source.Member{Key: "name", Value: source.NewString("job")}, source.Member{Key: "workflow", Value: prompt})
	if len(inputs.Members) > 0 {
		batch.Members = append(batch.Members, source.Member{Key: "inputs", Value: inputs})
	}
	r := &Request{Name: "batch.json", Body: batch.AppendJSON(nil), Files: s.Images, Endpoints: p.Endpoints, Job: &s.Job}
	if err := r.checkFiles(); err != nil {
		return r, []diag.Diagnostic{diag.Errorf("path_outside_input", diag.Place{}, "%v", err)}
	}
	// Not the client's context: the verdict is of use to the row that is written either way.
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	verdict := q.Judge(ctx, r)
	if verdict.OK {
		return r, nil
	}
	// The client's own text has places that mean something to it.
	// The generated batch has other lines and columns than what was sent, so the workflow is checked once more in the client's
	// own text.
	if s.Text != nil {
		if report := q.Check(ctx, r, s.Text, nil); !report.Valid && len(errorsOf(report.Findings)) > 0 {
			return r, report.Findings
		}
	}
	return r, withoutPlaces(verdict.Findings)
}

// withoutPlaces drops places in a text that the client never saw.
// The slice is copied: verdicts are remembered and shared.
func withoutPlaces(findings []diag.Diagnostic) []diag.Diagnostic {
	out := slices.Clone(findings)
	for i := range out {
		out[i].Place, out[i].Notes = diag.Place{}, nil
	}
	return out
}

// attach binds the images to the inputs that load them, notes the prefixes of outputs, and gives the batch's inputs.
// An input counts as loading an image if its value is the image's name, with or without " [input]", as ComfyUI's front end
// writes it.
func (s *JobSpec) attach(prompt *source.Value) *source.Value {
	inputs := source.NewObject()
	s.Job.Prefixes = map[string]string{}
	for _, node := range prompt.Members {
		list := node.Value.Get("inputs")
		if list == nil || list.Kind != source.Object {
			continue
		}
		for _, in := range list.Members {
			if in.Value.Kind != source.String {
				continue
			}
			if in.Key == "filename_prefix" {
				s.Job.Prefixes[node.Key] = in.Value.Text
			}
			name := strings.TrimSuffix(in.Value.Text, " [input]")
			if slices.ContainsFunc(s.Images, func(f File) bool { return f.Path == name }) {
				inputs.Members = append(inputs.Members, source.Member{Key: address(node.Key, in.Key), Value: source.NewString(name)})
			}
		}
	}
	return inputs
}

// address writes an input's address; the node is quoted where it holds a dot or a blank.
// The input needs no quotes: it is all that follows the node, dots included.
func address(node, input string) string {
	if strings.ContainsAny(node, ". ") {
		node = `"` + node + `"`
	}
	return node + "." + input
}

// maxImages bounds the images that come with one job.
const maxImages = 256

// Images reads the images of a job: [{"name", "image"}], where image is base64, a data URI, or an address, which is loaded through the
// guarded dialer. All that is loaded has at most `most` bytes together; what came with the request is bounded as its body is.
// Errors are for the client (400). Names must be plain, as worker-comfyui writes them into one folder. Order is that of the
// list.
func (q *Queue) Images(ctx context.Context, list *source.Value, most int64) ([]File, error) {
	if list == nil || list.Kind == source.Null {
		return nil, nil
	}
	if list.Kind != source.Array || len(list.Items) > maxImages {
		return nil, fmt.Errorf("images is a list of at most %d of {\"name\", \"image\"}", maxImages)
	}
	var out []File
	for _, item := range list.Items {
		name, text := item.Get("name").Str(), item.Get("image").Str()
		if err := CheckPath(name); err != nil || strings.Contains(name, "/") {
			return nil, fmt.Errorf("the image's name %q must be a plain file name", name)
		}
		data, err := q.image(ctx, text, most)
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", name, err)
		}
		if loaded(text) { // only what is loaded costs this machine memory beyond the body
			most -= int64(len(data))
		}
		out = append(out, File{Path: name, Data: data, Size: int64(len(data))})
	}
	return out, nil
}

// loaded tells the images that come by their address.
// Other schemes are read as base64, and fail.
func loaded(text string) bool {
	return strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://")
}

// image gives the bytes of one image, at most `most` of them if they are loaded.
// Line breaks and blanks in base64 are taken out, as some clients wrap it; padding may be missing.
func (q *Queue) image(ctx context.Context, text string, most int64) ([]byte, error) {
	if loaded(text) {
		return q.Courier.Fetch(ctx, text, most)
	}
	if strings.HasPrefix(text, "data:") {
		_, text, _ = strings.Cut(text, ",")
	}
	clean := strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' || r == ' ' {
			return -1
		}
		return r
	}, text)
	data, err := base64.StdEncoding.DecodeString(clean)
	if err != nil {
		data, err = base64.RawStdEncoding.DecodeString(clean)
	}
	if err != nil || len(data) == 0 {
		return nil, errors.New("this is no base64")
	}
	return data, nil
}

// ReadResult reads what came of a job.
// An empty text gives the zero value: the job has not ended.
func ReadResult(w ledger.Work) (r JobResult) {
	if w.Result != "" {
		_ = json.Unmarshal([]byte(w.Result), &r) // written by us; a batch's has other fields, and gives nothing
	}
	return r
}

// CheckJob gives the findings that would stop a job; none if it can be submitted.
// Nothing is stored. The text of the request is left out, so that findings name nodes, which is what the face can show.
func (q *Queue) CheckJob(s *JobSpec) []diag.Diagnostic {
	probe := *s
	probe.Text = nil // the native face names nodes, not lines
	if _, findings := q.jobRequest(&probe); len(errorsOf(findings)) > 0 {
		return findings
	}
	return nil
}
