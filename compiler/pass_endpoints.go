package compiler

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// endpoint finds the configurations of the endpoints that the batch runs on, and holds that their keys are there and go where they may. Of
// the endpoints file only what the batch names is looked at.
func (c *compilation) endpoint() bool {
	file, fromUser := c.endpointsFile()
	var known []source.Member
	if file != nil {
		var findings []diag.Diagnostic
		known, findings = readEndpoints(file)
		if c.list.Add(findings...); len(findings) > 0 { // what is configured is not known, so nothing is said of names
			return true
		}
	}
	for i, v := range c.wanted() {
		if v.Kind == source.Object {
			c.inlineEndpoint(i, v)
			continue
		}
		c.pickEndpoint(v, known, file, fromUser)
	}
	c.affordable()
	if file != nil && c.src.FS == nil {
		c.spare = spareEndpoints(known, filepath.Dir(file.Name), fromUser, c.src.Env)
	}
	if e := c.batch.Prompts.Expand; e != nil {
		c.pickExpander(e.at.Get("endpoint"), known, file, fromUser)
	}
	return true
}

// spareEndpoints decodes an endpoint of the file when it is asked for.
func spareEndpoints(known []source.Member, dir string, fromUser bool, env func(string) (string, bool)) func(string) (EndpointConfig, bool) {
	return func(name string) (EndpointConfig, bool) {
		for _, m := range known {
			if m.Key == name {
				l := &loader{env: env, fromUser: fromUser, files: reader{dir: dir}}
				e := l.decode(name, m.Value)
				return e, len(l.list.Sorted()) == 0
			}
		}
		return EndpointConfig{}, false
	}
}

// pickExpander finds the endpoint that expands prompts. Its key is looked for when it is asked: a plan
// with stored answers needs none.
func (c *compilation) pickExpander(v *source.Value, known []source.Member, file *source.File, fromUser bool) {
	var names []string
	for _, m := range known {
		if m.Value.Get("type").Str() == "serverless" {
			names = append(names, m.Key)
		}
		if m.Key != v.Text {
			continue
		}
		l := &loader{env: c.src.Env, fromUser: fromUser, files: reader{dir: filepath.Dir(file.Name)}}
		c.expander, c.expanderAt = l.decode(m.Key, m.Value), m.Value
		c.list.Add(l.list.Sorted()...)
		if c.expander.Type != "serverless" {
			c.list.Add(diag.Errorf("expansion_endpoint", diag.Of(v), "endpoint %q is of type %s; a language model is an endpoint of type serverless", v.Text, c.expander.Type).
				Noted(diag.Of(m.Value.Get("type")), "its type is here"))
		}
		return
	}
	d := diag.Errorf("unknown_endpoint", diag.Of(v), "there is no endpoint %q to expand prompts with", v.Text).
		Hinted(suggestOr(v.Text, names, "write it into the endpoints file: {type: serverless, url: …}"))
	if file != nil {
		d = d.Noted(diag.InFile(file), "the endpoints are configured here")
	}
	c.list.Add(d)
}

// wanted lists the endpoints by name or as they are written: those of the command line, else the batch's,
// else the preview, which costs nothing.
func (c *compilation) wanted() []*source.Value {
	var names []*source.Value
	for _, name := range c.src.Endpoints {
		names = append(names, source.NewString(name))
	}
	if len(names) == 0 {
		names = c.batch.Endpoints
	}
	if len(names) == 0 {
		names = []*source.Value{source.NewString(previewName)}
	}
	return names
}

// inlineEndpoint takes an endpoint that is written out in the batch. A batch that came over a network may
// name endpoints only. Without a name it is called after its type and its place: runpod-2.
func (c *compilation) inlineEndpoint(i int, v *source.Value) {
	if c.src.FS != nil {
		c.list.Add(diag.Errorf("not_here", diag.Of(v), "a batch that is sent to a service names endpoints, it does not describe them"))
		return
	}
	name := v.Get("name").Str()
	if name == "" {
		name = fmt.Sprintf("%s-%d", v.Get("type").Str(), i+1)
	}
	c.addEndpoint(&loader{env: c.src.Env, files: c.files}, name, v, diag.Of(v))
}

// addEndpoint decodes an endpoint and checks its key.
func (c *compilation) addEndpoint(l *loader, name string, v *source.Value, at diag.Place) {
	if slices.ContainsFunc(c.configs, func(e EndpointConfig) bool { return e.Name == name }) {
		c.list.Add(diag.Errorf("unknown_endpoint", at, "endpoint %q is named twice", name))
		return
	}
	e := l.decode(name, v)
	c.list.Add(l.list.Sorted()...)
	c.configs = append(c.configs, e)
	c.checkKey(e, v)
}

// pickEndpoint finds an endpoint by its name: in the file, else the built-in preview.
func (c *compilation) pickEndpoint(v *source.Value, known []source.Member, file *source.File, fromUser bool) {
	name := v.Str()
	names := []string{previewName}
	for _, m := range known {
		if m.Key == name {
			l := &loader{env: c.src.Env, fromUser: fromUser, files: reader{dir: filepath.Dir(file.Name)}}
			c.addEndpoint(l, name, m.Value, diag.Of(v))
			return
		}
		names = append(names, m.Key)
	}
	if name == previewName {
		c.configs = append(c.configs, EndpointConfig{Name: previewName, Type: previewName, FromUser: true})
		return
	}
	d := diag.Errorf("unknown_endpoint", diag.Of(v), "there is no endpoint %q", name).Hinted(suggestOr(name, names, "there are "+strings.Join(names, ", ")))
	if file == nil {
		d = d.Noted(diag.Place{}, "no %s was found beside the batch or in the user's configuration", EndpointsFileName)
	} else {
		d = d.Noted(diag.InFile(file), "the endpoints are configured here")
	}
	c.list.Add(d)
}

// endpointsFile finds where the endpoints of a batch are configured: the file that was asked for, else
// the one beside the batch, else the user's own. The second result says that it is the user's own, so
// that its keys may go where it sends them. A batch over a network has no file beside it.
func (c *compilation) endpointsFile() (*source.File, bool) {
	read := func(path string) *source.File {
		f, err := source.ReadFile(path)
		if err != nil {
			return nil
		}
		return f
	}
	if c.src.EndpointsFile != "" {
		f, err := source.ReadFile(c.src.EndpointsFile)
		if err != nil {
			c.list.Add(diag.FromError(err, c.src.EndpointsFile))
			return nil, false
		}
		return f, !c.besideBatch(c.src.EndpointsFile)
	}
	if c.src.FS == nil {
		if f := read(c.files.locate(EndpointsFileName)); f != nil {
			return f, false
		}
	}
	if c.src.ConfigDir != "" {
		return read(filepath.Join(c.src.ConfigDir, EndpointsFileName)), true
	}
	return nil, false
}

// besideBatch tells whether a file lies in the batch's folder or below it, where a cloned repository
// could have put it. In doubt it does.
func (c *compilation) besideBatch(file string) bool {
	dir, err1 := filepath.Abs(c.files.dir)
	at, err2 := filepath.Abs(file)
	if err1 != nil || err2 != nil {
		return true
	}
	rel, err := filepath.Rel(dir, at)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}
