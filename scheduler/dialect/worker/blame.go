// Which nodes a worker's text blames. There is no machine-readable form: worker-comfyui turns ComfyUI's answer into sentences, in three ways,
// and the ids are read back out of them, so that a finding can be printed at its place in the user's file. What is not recognised is lost
// for the blame only; the text itself is always shown.

package worker

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/comfyc/comfyc/scheduler"
)

// nodeError blames one node.
type nodeError struct{ node, text string }

// The ways in which a worker names the node that is to blame.
var (
	// "• Node 2 (errors): [{'type': …, 'message': …, 'details': …}]", the errors as Python prints them.
	validationLine = regexp.MustCompile(`Node ([\w:.-]{1,64}) \(errors\): (\[.*)`)
	pythonMember   = regexp.MustCompile(`'(type|message|details)': (?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")`)
	// "Workflow execution error: Node Type: LoadImage, Node ID: 3, Message: …".
	executionLine = regexp.MustCompile(`Node Type: ([^,\n]{1,200}), Node ID: ([\w:.-]{1,64}), Message: ([^\n]*)`)
)

// nodeErrors finds every node that a worker's text blames; nil if there is none.
func nodeErrors(text string) map[string]string {
	found := validationErrors(text)
	for _, m := range executionLine.FindAllStringSubmatch(text, maxProblems) {
		found = append(found, nodeError{m[2], m[1] + ": " + m[3]})
	}
	if _, raw, ok := strings.Cut(text, "Raw response: "); ok {
		for id, text := range ReadRefusal([]byte(raw)).NodeErrors {
			found = append(found, nodeError{id, text})
		}
	}
	if len(found) == 0 {
		return nil
	}
	nodes := map[string]string{}
	for _, e := range found {
		nodes[e.node] = shorten(strings.TrimSpace(e.text), maxText)
	}
	return nodes
}

// validationErrors finds the nodes that ComfyUI did not accept, in the text's order.
func validationErrors(text string) []nodeError {
	var found []nodeError
	for _, line := range validationLine.FindAllStringSubmatch(text, maxProblems) {
		found = append(found, nodeError{line[1], pythonErrors(line[2])})
	}
	return found
}

// pythonErrors makes "type: message (details)" of each error in the printed list. Only the outer members come before extra_info, which
// repeats the same words for inner things; so three members after each 'type' are read and no more.
func pythonErrors(list string) string {
	var texts []string
	for _, printed := range strings.Split(list, "{'type': ")[1:] {
		values := map[string]string{}
		for _, m := range pythonMember.FindAllStringSubmatch("'type': "+printed, 3) {
			values[m[1]] = strings.NewReplacer(`\'`, `'`, `\"`, `"`, `\n`, " ").Replace(m[2] + m[3])
		}
		texts = append(texts, errorLine(values["type"], values["message"], values["details"]))
	}
	return strings.Join(texts, "; ")
}

// errorLine prints one finding as "type: message (details)".
func errorLine(kind, message, details string) string {
	line := first(message, kind)
	if details != "" {
		line += " (" + details + ")"
	}
	if kind != "" && message != "" {
		line = kind + ": " + line
	}
	return shorten(line, maxText)
}

// refusal is the answer of ComfyUI's POST /prompt when something is wrong: the whole prompt, or some of its nodes.
type refusal struct {
	Error      json.RawMessage            `json:"error"`
	NodeErrors map[string]json.RawMessage `json:"node_errors"`
}

// promptError is one finding of ComfyUI's, about the whole prompt or a node.
type promptError struct {
	Type    string `json:"type"`
	Message string `json:"message"`
	Details string `json:"details"`
	Extra   struct {
		Node any `json:"node_id"`
	} `json:"extra_info"`
}

// ReadRefusal reads ComfyUI's own answer {"error", "node_errors"}. Without either, Message is "".
func ReadRefusal(body []byte) Failure {
	var r refusal
	if json.Unmarshal(body, &r) != nil {
		return Failure{Kind: scheduler.Rejected}
	}
	var whole promptError
	if json.Unmarshal(r.Error, &whole) != nil {
		whole.Message = Text(r.Error)
	}
	f := Failure{Kind: scheduler.Rejected, Message: errorLine(whole.Type, whole.Message, whole.Details), NodeErrors: map[string]string{}}
	// Another endpoint may have the custom node, so the job is not refused for good.
	if id, ok := whole.Extra.Node.(string); ok && whole.Type == "missing_node_type" {
		f.Kind = scheduler.MissingModel
		f.NodeErrors[shorten(id, 64)] = f.Message
	}
	for _, id := range slices.Sorted(maps.Keys(r.NodeErrors)) {
		f.blame(shorten(id, 64), r.NodeErrors[id])
	}
	if len(f.NodeErrors) == 0 {
		f.NodeErrors = nil
	}
	return f
}

// blame adds what is wrong with one node.
func (f *Failure) blame(id string, raw json.RawMessage) {
	var node struct {
		Errors []promptError `json:"errors"`
	}
	if json.Unmarshal(raw, &node) != nil || len(f.NodeErrors) >= maxProblems {
		return
	}
	var texts []string
	for _, e := range node.Errors[:min(len(node.Errors), maxProblems)] {
		texts = append(texts, errorLine(e.Type, e.Message, e.Details))
		// One missing model makes the whole prompt one for another endpoint, whatever else is wrong with it.
		if found, ok := missingModel(e.Details); ok && e.Type == "value_not_in_list" {
			f.Kind = scheduler.MissingModel
			f.Message = found
		}
	}
	f.NodeErrors[id] = shorten(strings.Join(texts, "; "), maxText)
}
