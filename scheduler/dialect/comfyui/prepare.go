package comfyui

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect/call"
	"github.com/comfyc/comfyc/scheduler/dialect/worker"
)

// Prepare implements scheduler.Preparer: the job is held against what the server says that it has, and its input files are uploaded. A server that
// cannot be asked what it has (a proxy may hide it) gets the job all the same, and says itself what it lacks.
func (e *Endpoint) Prepare(ctx context.Context, job *compiler.Job) error {
	var failed *scheduler.Error
	if err := e.fits(ctx, job); errors.As(err, &failed) && (failed.Kind == scheduler.MissingModel || failed.Status == 0) {
		return err
	}
	_, err := e.prepared(ctx, job)
	return err
}

// maxClasses bounds the definitions that are kept. ComfyUI has some 900 by itself, packs add to that.
const maxClasses = 8192

// classes keeps what the server said about node classes. A good verdict stands; before a bad one is given, the server is asked once more, as
// models and nodes may have been added since.
type classes struct {
	mu    sync.Mutex
	known map[string]class
}

func newClasses() classes { return classes{known: map[string]class{}} }

// class is what a server says about a node class.
type class struct {
	there bool
	lists map[string][]string // input → the values that it takes, for inputs with a closed list
}

// get gives what is kept.
func (c *classes) get(name string) (class, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.known[name]
	return k, ok
}

// put keeps a definition.
func (c *classes) put(name string, k class) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= maxClasses {
		clear(c.known)
	}
	c.known[name] = k
}

// node is one of a prompt.
type node struct {
	Class  string                     `json:"class_type"`
	Inputs map[string]json.RawMessage `json:"inputs"`
}

// fits tells whether the server has the classes and models that a job needs. Values other than models' file names are left to the server's own
// check, which some nodes bend.
func (e *Endpoint) fits(ctx context.Context, job *compiler.Job) error {
	prompt, err := worker.Rename(job.Prompt, e.options.Aliases)
	if err != nil {
		return e.client.Fail("check", scheduler.Rejected, "%s", err)
	}
	var nodes map[string]node
	if err := json.Unmarshal(prompt, &nodes); err != nil {
		return e.client.Fail("check", scheduler.Rejected, "cannot read the prompt: %s", err)
	}
	bad := map[string]string{}
	asked := map[string]bool{} // classes whose definitions are of this moment
	// One class after the other: the first prompt of a kind costs a call per class, all later ones none.
	for id, n := range nodes {
		k, fresh, err := e.class(ctx, n.Class)
		if err != nil {
			return err
		}
		// A user who reads "lacks the model" copies it there and tries again; a verdict from memory would then be wrong for ever.
		asked[n.Class] = asked[n.Class] || fresh
		if why := k.lacks(n); why != "" && !asked[n.Class] {
			if k, err = e.ask(ctx, n.Class); err != nil {
				return err
			}
			asked[n.Class] = true
		}
		if why := k.lacks(n); why != "" {
			bad[id] = why
		}
	}
	return e.lacking(bad)
}

// lacking makes an error of what nodes lack, nil if they lack nothing. The first by id speaks for all.
func (e *Endpoint) lacking(bad map[string]string) error {
	if len(bad) == 0 {
		return nil
	}
	ids := make([]string, 0, len(bad))
	for id := range bad {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	failed := e.client.Fail("check", scheduler.MissingModel, "the server %s (node %s)", bad[ids[0]], ids[0])
	failed.NodeErrors = e.clean(bad)
	return failed
}

// lacks says what of a node the server does not have, "" if it has all.
func (k class) lacks(n node) string {
	if !k.there {
		return "has no node class " + n.Class
	}
	for _, input := range sortedKeys(n.Inputs) {
		list, closed := k.lists[input]
		var value string
		if closed && json.Unmarshal(n.Inputs[input], &value) == nil && worker.IsModel(value) && !has(list, value) {
			return fmt.Sprintf("lacks the model %s (%s of %s)", value, input, n.Class)
		}
	}
	return ""
}

// has finds a value however its folders are separated: a server lists them as its system writes them, so "sd\a.safetensors" on Windows is
// the graph's "sd/a.safetensors".
func has(list []string, value string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.ReplaceAll(s, `\`, "/") == strings.ReplaceAll(value, `\`, "/") })
}

// sortedKeys makes what is told the same each time, as a map's order is not.
func sortedKeys(m map[string]json.RawMessage) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// class gives a definition, and whether it was asked for just now.
func (e *Endpoint) class(ctx context.Context, name string) (k class, fresh bool, err error) {
	if k, ok := e.classes.get(name); ok {
		return k, false, nil
	}
	k, err = e.ask(ctx, name)
	return k, true, err
}

// infoLimit bounds one class's definition in bytes: it lists all models of a kind.
const infoLimit = 16 << 20

// ask reads one class of /object_info: {} if there is none of the name.
func (e *Endpoint) ask(ctx context.Context, name string) (class, error) {
	var a map[string]struct {
		Input map[string]map[string]json.RawMessage `json:"input"`
	}
	r := call.Request{Op: "check", Path: "/object_info/" + url.PathEscape(name), Limit: infoLimit, Timeout: 30 * time.Second}
	if _, err := e.client.JSON(ctx, r, &a); err != nil {
		return class{}, err
	}
	// The groups are required, optional and hidden; a closed list may stand in any of them.
	definition, there := a[name]
	k := class{there: there, lists: map[string][]string{}}
	for _, group := range definition.Input {
		for input, spec := range group {
			if list, ok := options(spec); ok {
				k.lists[input] = list
			}
		}
	}
	e.classes.put(name, k)
	return k, nil
}

// options reads the closed list of an input: [["a", "b"], {…}], or ["COMBO", {"options": ["a", "b"]}]. Lists that a remote fills, or to which files
// can be uploaded, are not closed.
func options(spec json.RawMessage) (list []string, ok bool) {
	var parts []json.RawMessage
	if json.Unmarshal(spec, &parts) != nil || len(parts) == 0 {
		return nil, false
	}
	var more struct {
		Options []string        `json:"options"`
		Image   bool            `json:"image_upload"`
		Video   bool            `json:"video_upload"`
		Audio   bool            `json:"audio_upload"`
		Remote  json.RawMessage `json:"remote"`
	}
	if len(parts) > 1 && json.Unmarshal(parts[1], &more) != nil {
		return nil, false // options that are no texts
	}
	if more.Image || more.Video || more.Audio || more.Remote != nil {
		return nil, false
	}
	if json.Unmarshal(parts[0], &list) == nil {
		return list, true
	}
	var kind string
	if json.Unmarshal(parts[0], &kind) == nil && kind == "COMBO" {
		return more.Options, more.Options != nil
	}
	return nil, false
}
