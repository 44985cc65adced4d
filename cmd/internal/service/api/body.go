package api

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"strings"

	"github.com/comfyc/comfyc/cmd/internal/service/queue"
	"github.com/comfyc/comfyc/cmd/internal/service/web"
	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// bodyLimits bound what a request's JSON or YAML may be made of.
// They are far below the parser's own: a body of 8 MiB made of brackets would otherwise become hundreds of megabytes of tree.
var bodyLimits = source.Limits{Depth: 128, Values: 1_000_000}

// maxFields bounds the parts of a multipart body.
// 10,000 files and the batch itself.
const maxFields = 10_001

// request reads a batch with its files from a body; ok is false if it was answered.
// A syntax error is 422 with its place, as any mistake in a batch; a body that is no form of a request is 400. `?pool=`
// replaces the batch's endpoints.
func (a *API) request(c *web.Call) (r *queue.Request, ok bool) {
	var err error
	if c.Type == web.Multipart {
		r, err = multipartRequest(c)
	} else {
		r, err = inlineRequest(c)
	}
	var unread *source.Error
	switch {
	case errors.As(err, &unread):
		c.Problem(422, "invalid_batch", "the batch cannot be read", diag.FromError(err, unread.File.Name))
		return nil, false
	case err != nil:
		c.Problem(400, "bad_body", err.Error())
		return nil, false
	}
	if pool := c.Query("pool"); pool != "" {
		p := a.Queue.Pool(pool)
		if p == nil {
			c.Problem(400, "unknown_pool", "there is no such pool; there are "+strings.Join(a.Queue.PoolNames(), ", "))
			return nil, false
		}
		r.Endpoints = p.Endpoints
	}
	return r, true
}

// inlineRequest reads a batch whose files are in its own text, under the key files. That key is not the batch format's: it is blanked out, so
// that findings still point to the lines and columns that the client sent.
// Keys that YAML would allow twice are refused by the parser, so the member is the only one.
func inlineRequest(c *web.Call) (*queue.Request, error) {
	// The text is kept byte for byte as it came: it is what findings point into, and what is stored.
	r := &queue.Request{Name: "batch.json", Body: c.Body()}
	if c.Type == web.YAML {
		r.Name = "batch.yaml"
	}
	if len(r.Body) == 0 {
		return nil, errors.New("the body is empty")
	}
	if !bytes.Contains(r.Body, []byte("files")) { // most batches: no need to parse here what the compiler parses again
		return r, nil
	}
	file := source.NewFile(r.Name, r.Body)
	root, err := source.Parse(file, bodyLimits)
	if err != nil {
		return nil, err
	}
	m := root.Member("files")
	if m == nil {
		return r, nil
	}
	if r.Files, err = inlineFiles(m.Value); err != nil {
		return nil, err
	}
	r.Body = without(file, root, m)
	return r, nil
}

// inlineFiles decodes {"name": {"base64": "…"}}. Names are checked before anything is decoded.
// Order is that of the body. The same name twice is refused later, by checkFiles.
func inlineFiles(v *source.Value) (files []queue.File, err error) {
	if v.Kind != source.Object {
		return nil, errors.New(`files is an object: {"name": {"base64": "…"}}`)
	}
	for _, m := range v.Members {
		text := m.Value.Get("base64")
		if text == nil || text.Kind != source.String || len(m.Value.Members) != 1 {
			return nil, fmt.Errorf(`files.%s is not {"base64": "…"}`, m.Key)
		}
		if err := queue.CheckPath(m.Key); err != nil { // before the bytes: a bad name costs no memory
			return nil, err
		}
		data, err := decode64(text.Text)
		if err != nil {
			return nil, fmt.Errorf("files.%s: this is no base64", m.Key)
		}
		files = append(files, queue.File{Path: m.Key, Data: data, Size: int64(len(data))})
	}
	return files, nil
}

// decode64 reads base64, bare or as a data URI.
// What stands before the comma of a data URI (media type, ";base64") is not looked at.
func decode64(text string) ([]byte, error) {
	if strings.HasPrefix(text, "data:") {
		_, text, _ = strings.Cut(text, ",")
	}
	return base64.StdEncoding.DecodeString(strings.TrimSpace(text))
}

// without blanks a member out, so that all others keep their places. In a form where that does not leave the same batch, the rest is
// written anew.
// Line breaks stay, since lines are counted. Whether it worked is not argued but tried: the blanked text is parsed and compared
// with what should be left.
func without(f *source.File, root *source.Value, m *source.Member) []byte {
	rest := source.NewObject()
	for _, other := range root.Members {
		if other.Key != m.Key {
			rest.Members = append(rest.Members, other)
		}
	}
	want := rest.AppendJSON(nil) // without files
	text := bytes.Clone(f.Data)
	from, to := span(f, root, m)
	for i := from; i < to; i++ {
		if text[i] != '\n' && text[i] != '\r' {
			text[i] = ' '
		}
	}
	// The parse costs as much as that of the body; bodies with files are rare enough.
	again, err := source.Parse(source.NewFile(f.Name, text), bodyLimits)
	if err == nil && bytes.Equal(again.AppendJSON(nil), want) {
		return text
	}
	return want // JSON is YAML too
}

// span gives the bytes of a member. In JSON one of the commas goes along; in YAML, whose values do not know their ends, all up to the next key.
// YAML's last key goes to the end of the text, with the comments behind it.
func span(f *source.File, root *source.Value, m *source.Member) (from, to int) {
	from, to = m.KeyStart, m.Value.End
	if !strings.HasSuffix(f.Name, ".json") {
		to = len(f.Data)
		for _, other := range root.Members {
			if other.KeyStart > from {
				to = min(to, other.KeyStart)
			}
		}
		return from, to
	}
	next := bytes.TrimLeft(f.Data[to:], " \t\r\n")
	before := bytes.TrimRight(f.Data[:from], " \t\r\n")
	if len(next) > 0 && next[0] == ',' {
		to = len(f.Data) - len(next) + 1
	} else if len(before) > 0 && before[len(before)-1] == ',' {
		from = len(before) - 1
	}
	return from, to
}

// multipartRequest reads the part "batch" and files, which are the parts named by their paths.
// The order of the parts is free. The batch is read as YAML, which JSON is, unless its name or type say JSON, for better
// messages.
func multipartRequest(c *web.Call) (*queue.Request, error) {
	r := &queue.Request{}
	err := parts(c, func(name, filename, kind string, data []byte) error {
		if name == "batch" {
			r.Body, r.Name = data, "batch.yaml"
			if strings.HasSuffix(strings.ToLower(filename), ".json") || strings.HasPrefix(kind, "application/json") {
				r.Name = "batch.json"
			}
			return nil
		}
		if err := queue.CheckPath(name); err != nil { // the part's name is the path that the batch uses
			return err
		}
		r.Files = append(r.Files, queue.File{Path: name, Data: data, Size: int64(len(data))})
		return nil
	})
	if err == nil && r.Body == nil {
		err = errors.New(`there is no part "batch"`)
	}
	return r, err
}

// parts gives the parts of a multipart body.
// Parts are read as they are (NextRawPart): a transfer encoding would be a second way to write the same file. All of them lie
// in the body, which is bounded; take is called in their order.
func parts(c *web.Call, take func(name, filename, kind string, data []byte) error) error {
	boundary := c.Multipart()
	if boundary == "" {
		return errors.New("the multipart body has no boundary")
	}
	reader := multipart.NewReader(bytes.NewReader(c.Body()), boundary)
	for range maxFields {
		part, err := reader.NextRawPart()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the multipart body cannot be read")
		}
		data, err := io.ReadAll(part)
		if err != nil {
			return fmt.Errorf("the multipart body cannot be read")
		}
		if err := take(part.FormName(), part.FileName(), part.Header.Get("Content-Type"), data); err != nil {
			return err
		}
	}
	return fmt.Errorf("more than %d parts", maxFields-1)
}

// text reads what is to be checked or converted: the body itself, or the part "file" (with others beside it).
// With other parts beside it a batch can be checked whose files are not on the server. A false ok has been answered with 400 or
// 422.
func (a *API) text(c *web.Call) (r *queue.Request, file *source.File, ok bool) {
	if c.Type != web.Multipart {
		r, ok = a.request(c)
		if !ok {
			return nil, nil, false
		}
		name := "workflow.json"
		if c.Type == web.YAML {
			name = "batch.yaml"
		}
		return r, source.NewFile(name, r.Body), true
	}
	r = &queue.Request{}
	err := parts(c, func(name, filename, _ string, data []byte) error {
		if name == "file" || name == "batch" {
			if filename == "" || queue.CheckPath(filename) != nil { // without a name, or with one that could not be a path
				filename = "workflow.json"
			}
			file = source.NewFile(filename, data)
			return nil
		}
		if err := queue.CheckPath(name); err != nil {
			return err
		}
		r.Files = append(r.Files, queue.File{Path: name, Data: data})
		return nil
	})
	if err == nil && file == nil {
		err = errors.New(`there is no part "file"`)
	}
	if err != nil {
		c.Problem(400, "bad_body", err.Error())
	}
	return r, file, err == nil
}

// check is POST /check: the object that `comfyc check --json` prints.
// Always 200: findings are the answer and not an error of the call. `?targets=9,20` looks at these output nodes only.
func (a *API) check(c *web.Call) {
	r, file, ok := a.text(c)
	if !ok {
		return
	}
	var targets []string
	if text := c.Query("targets"); text != "" {
		targets = strings.Split(text, ",")
	}
	ctx, cancel := context.WithTimeout(c.Ctx, compileTime)
	defer cancel()
	report := a.Queue.Check(ctx, r, file, targets)
	c.Text(200, web.JSON, web.JSONValue(report.ToValue()))
}

// convert is POST /convert: the workflow in API form.
// 422 with findings if it is refused; warnings come beside the prompt. Node templates are not expanded here.
func (a *API) convert(c *web.Call) {
	_, file, ok := a.text(c)
	if !ok {
		return
	}
	prompt, findings := compiler.Convert(file, a.Queue.Catalogue)
	if prompt == nil {
		c.Problem(422, "invalid_workflow", "the workflow cannot be converted", findings...)
		return
	}
	c.JSON(200, map[string]any{"prompt": web.JSONValue(prompt), "diagnostics": web.Findings(findings)})
}

// plan is POST /plan: the object that `comfyc plan --json` prints.
// Nothing is stored or paid; 422 if the batch has errors.
func (a *API) plan(c *web.Call) {
	r, ok := a.request(c)
	if !ok {
		return
	}
	a.report(c, r)
}

// storedPlan is GET /batches/{id}/plan.
// It is compiled anew, with the configuration of now: endpoints and prices may differ from those of the submit.
func (a *API) storedPlan(c *web.Call) {
	w, ok := a.find(c)
	if !ok {
		return
	}
	r, err := a.Queue.Stored(c.Ctx, w.ID)
	if err != nil {
		c.Failed(err)
		return
	}
	a.report(c, r)
}

// report answers with a plan in the form of `comfyc plan --json`, or with the findings that stand in its way.
// What earlier runs did is not in it: a request that was not submitted has no run directory.
func (a *API) report(c *web.Call, r *queue.Request) {
	ctx, cancel := context.WithTimeout(c.Ctx, compileTime)
	defer cancel()
	plan, findings := a.Queue.Compile(ctx, r)
	if plan == nil {
		c.Problem(422, "invalid_batch", "the batch has mistakes", findings...)
		return
	}
	report := plan.Report(compiler.ReportOptions{})
	c.JSON(200, map[string]any{"plan": web.JSONValue(report.ToValue()), "diagnostics": web.Findings(findings)})
}
