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
type JobSpec struct {
	ID       string // "" makes one
	Kind     string // of the face
	Pool     string
	Text     *source.File  // what the client sent, for the places of findings
	Workflow *source.Value // API or UI form
	Images   []File        // by the names that the workflow loads them under
	Job      Job
	Secrets  Secrets
	Priority int
	Idem     string
}

// SubmitJob makes a job durable. A workflow with mistakes becomes a job that has failed, with the findings as its error: nothing is paid
// for it. See Submit for errors, and seal.ErrNoKey for a secret that cannot be kept.
func (q *Queue) SubmitJob(ctx context.Context, k *keys.Key, s JobSpec) (ledger.Work, bool, []diag.Diagnostic, error) {
	now := q.Now()
	if s.ID == "" {
		s.ID = NewID(now)
	}
	o := &ledger.Order{Work: ledger.Work{ID: s.ID, Kind: s.Kind, Pool: s.Pool, Renders: 1, Created: now, Priority: s.Priority}, Idem: s.Idem}
	r, findings := q.jobRequest(&s)
	if r == nil {
		r = &Request{Job: &s.Job}
	}
	sum := r.Sum()
	o.IdemHash = sum[:]
	var err error
	if o.Sealed, err = q.Seal(s.ID, s.Secrets); err != nil {
		return ledger.Work{}, false, nil, err
	}
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
	if err == nil && fresh && w.State.Final() {
		q.told(w)
	}
	return w, fresh, findings, err
}

// errorsOf prints the findings that stop a job, one line each.
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
func (q *Queue) jobRequest(s *JobSpec) (*Request, []diag.Diagnostic) {
	p := q.pools[s.Pool]
	if s.Workflow == nil || s.Workflow.Kind != source.Object {
		return nil, []diag.Diagnostic{diag.Errorf("malformed_prompt", diag.Place{}, "the input holds no workflow: {\"input\": {\"workflow\": {…}}}")}
	}
	prompt := s.Workflow
	if list := prompt.Get("nodes"); list != nil && list.Kind == source.Array {
		converted, findings := compiler.Convert(source.NewFile("workflow.json", prompt.AppendJSON(nil)), q.Catalogue)
		if converted == nil {
			return nil, findings
		}
		prompt = converted
	}
	inputs := s.attach(prompt)
	batch := source.NewObject(source.Member{Key: "version", Value: source.NewInt(1)}, source.Member{Key: "name", Value: source.NewString("job")}, source.Member{Key: "workflow", Value: prompt})
	if len(inputs.Members) > 0 {
		batch.Members = append(batch.Members, source.Member{Key: "inputs", Value: inputs})
	}
	r := &Request{Name: "batch.json", Body: batch.AppendJSON(nil), Files: s.Images, Endpoints: p.Endpoints, Job: &s.Job}
	if err := r.checkFiles(); err != nil {
		return r, []diag.Diagnostic{diag.Errorf("path_outside_input", diag.Place{}, "%v", err)}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	verdict := q.Judge(ctx, r)
	if verdict.OK {
		return r, nil
	}
	// The client's own text has places that mean something to it.
	if s.Text != nil {
		if report := q.Check(ctx, r, s.Text, nil); !report.Valid && len(errorsOf(report.Findings)) > 0 {
			return r, report.Findings
		}
	}
	return r, withoutPlaces(verdict.Findings)
}

// withoutPlaces drops places in a text that the client never saw.
func withoutPlaces(findings []diag.Diagnostic) []diag.Diagnostic {
	out := slices.Clone(findings)
	for i := range out {
		out[i].Place, out[i].Notes = diag.Place{}, nil
	}
	return out
}

// attach binds the images to the inputs that load them, notes the prefixes of outputs, and gives the batch's inputs.
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

// address writes an input's address; the parts are quoted, as they may hold dots.
func address(node, input string) string {
	if strings.ContainsAny(node, ". ") {
		node = `"` + node + `"`
	}
	return node + "." + input
}

// maxImages bounds the images that come with one job.
const maxImages = 256

// Images reads the images of a job: [{"name", "image"}], where image is base64, a data URI, or an address, which is loaded through the
// guarded dialer.
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
		out = append(out, File{Path: name, Data: data, Size: int64(len(data))})
	}
	return out, nil
}

// image gives the bytes of one image, at most `most` of them if they are loaded.
func (q *Queue) image(ctx context.Context, text string, most int64) ([]byte, error) {
	if strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://") {
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
func ReadResult(w ledger.Work) (r JobResult) {
	if w.Result != "" {
		_ = json.Unmarshal([]byte(w.Result), &r) // written by us; a batch's has other fields, and gives nothing
	}
	return r
}

// CheckJob gives the findings that would stop a job; none if it can be submitted.
func (q *Queue) CheckJob(s *JobSpec) []diag.Diagnostic {
	probe := *s
	probe.Text = nil // the native face names nodes, not lines
	if _, findings := q.jobRequest(&probe); len(errorsOf(findings)) > 0 {
		return findings
	}
	return nil
}
