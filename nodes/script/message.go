package script

import "encoding/json"

// The language between parent and child, one JSON object a line in each direction. A whole talk:
//
//	child  {"ready":true}
//	parent {"load":{"files":[{"name":"hires.js","text":"template({…"}],"soft_ms":750,…}}
//	child  {"load":{"declared":[{"at":{"file":0,"line":1,"column":9},"def":{"name":"HiresFix",…}}]}}
//	parent {"expand":{"file":0,"index":0,"args":[{"name":"image","link":1},{"name":"scale","lit":1.5}],"seed":7}}
//	child  {"ask":"ImageScaleBy"}                 (only if the script takes an output of it by name)
//	parent {"shape":{"known":true,"outputs":["IMAGE"]}}
//	child  {"expand":{"nodes":[{"class":"ImageScaleBy",…}],"outputs":[{"name":"image","node":1,"slot":-1}]}}
//
// A child is to be trusted no more than the script in it.

// request is what an engine is asked: to load files, or to expand a template of them. One JSON object a line.
type request struct {
	Load   *loadRequest   `json:"load,omitempty"`
	Expand *expandRequest `json:"expand,omitempty"`
	Shape  *shape         `json:"shape,omitempty"` // the answer to reply.Ask
}

// reply is what an engine answers. While it expands it may ask for the outputs of a class first.
type reply struct {
	Ready  bool         `json:"ready,omitempty"` // the first line that a child writes
	Ask    *string      `json:"ask,omitempty"`   // a class
	Load   *loadReply   `json:"load,omitempty"`
	Expand *expandReply `json:"expand,omitempty"`
	Last   bool         `json:"last,omitempty"` // the child ends now
}

// loadRequest is the first thing a child is sent; its files are those that expand requests count, from 0.
type loadRequest struct {
	Files []fileText `json:"files"`
	bounds
}

// bounds are the options that an engine keeps.
type bounds struct {
	SoftMS    int `json:"soft_ms"`    // after this time a script is interrupted: half of what it may take, so that it can still be told where
	MaxNodes  int `json:"max_nodes"`  // of one expansion
	MaxDepth  int `json:"max_depth"`  // of calls
	MaxOutput int `json:"max_output"` // bytes
	MemoryMiB int `json:"memory_mib"` // of the child; without meaning in process
}

// fileText is a file as its author wrote it. The extension of its name says whether it is TypeScript.
type fileText struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// spot is a place in the text of a file as its author wrote it. Line is 0 if it is not known; Column counts bytes, from 1.
type spot struct {
	File   int `json:"file"`
	Line   int `json:"line"`
	Column int `json:"column"`
}

// trouble is what went wrong in a script. Code is one of diag's.
type trouble struct {
	At      spot   `json:"at"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// loadReply lists what all files declare, in the order of the files and of their calls. A file with trouble declares
// nothing after it.
type loadReply struct {
	Declared []declared `json:"declared"`
	Trouble  []trouble  `json:"trouble"`
}

// declared is one call of template or workflow.
type declared struct {
	At       spot            `json:"at"` // of the opening parenthesis
	Workflow bool            `json:"workflow,omitempty"`
	Def      json.RawMessage `json:"def"` // the argument as JSON, without its functions
}

// expandRequest asks for one expansion. Equal requests have equal replies, but for trouble with time and memory.
type expandRequest struct {
	File  int     `json:"file"`
	Index int     `json:"index"` // of the call of template in its file
	Args  []named `json:"args"`  // in the declared order of the template's inputs
	Seed  uint64  `json:"seed"`  // of random()
}

// named is a value with a name.
type named struct {
	Name string `json:"name"`
	wire
}

// wire is a value on its way into or out of a script: a literal, an output of a node that the script made, or a link from outside.
type wire struct {
	Lit  json.RawMessage `json:"lit,omitempty"`
	Node int             `json:"node,omitempty"` // from 1
	Slot int             `json:"slot,omitempty"` // whole for the handle of a node
	Link int             `json:"link,omitempty"` // from 1: the number of a link that the request gave
}

// whole marks the handle of a node, of which one output is meant.
const whole = -1

// expandReply is what expand made, in the order in which it was made. With Trouble the rest does not count.
type expandReply struct {
	Nodes   []made   `json:"nodes"`
	Outputs []named  `json:"outputs"`
	Single  bool     `json:"single,omitempty"` // Outputs is one handle without a name
	Trouble *trouble `json:"trouble,omitempty"`
}

// made is one node that a script added.
type made struct {
	Class  string  `json:"class"`
	Title  string  `json:"title,omitempty"`
	At     spot    `json:"at"` // of the opening parenthesis of g.Class(
	Inputs []named `json:"inputs"`
}

// shape is what a script sees of a class.
type shape struct {
	Known   bool     `json:"known"`
	Outputs []string `json:"outputs"`
}
