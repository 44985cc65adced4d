// Package nodes knows what node classes there are: their inputs with types, ranges and options, and their outputs.
//
// A [Catalogue] comes from an /object_info answer. The built-in one is embedded, compressed, holds facts only, and is decoded class by class
// when a class is first asked for. In it, lists of models and files that were empty at import are open (any name may exist on a
// worker); a snapshot that a user gives is taken literally. Catalogues are safe for concurrent use and never change.
//
// In a few lines: what a worker's KSampler takes, and what its outputs are.
//
//	cat := nodes.BuiltIn()
//	class, ok := cat.Class("KSampler")        // ok is false for a class that nobody knows
//	in := class.Input("steps")                // Type INT, default 20, min 1, max 10000 in in.Spec
//	names := class.Input("sampler_name").OptionNames() // "euler", "euler_cfg_pp", …
//	kind := class.Outputs[0].Type             // LATENT
//
// How a definition is written: class.go holds the types, decode.go reads them, objectinfo.go writes them again, byte
// for byte as a server does. import.go and pack.go make and read the compact form; live.go says which inputs a node with dynamic
// ones has; equal.go compares values as Python does; profile.go is about worker images and the models in them.
//
// Limits: a snapshot or an imported catalogue has at most 64 MiB when it is unpacked and at most 50,000 classes; dynamic inputs are
// read up to 12 levels deep, and autogrow templates up to 100 names, as ComfyUI does.
package nodes

import (
	_ "embed"
	"sync"

	"github.com/comfyc/comfyc/compiler/source"
)

//go:embed core/catalogue.zst
var coreCatalogue []byte

// builtIn unpacks the embedded catalogue once per process.
var builtIn = sync.OnceValue(func() *Catalogue {
	c, err := unpack(coreCatalogue)
	if err != nil {
		panic("the embedded catalogue cannot be read: " + err.Error()) // the build is broken; a test holds it
	}
	return c
})

// BuiltIn gives the catalogue of ComfyUI's own classes (version 0.33.0) that is part of the program.
func BuiltIn() *Catalogue { return builtIn() }

// Catalogue is a set of node classes.
type Catalogue struct {
	entries map[string]*entry // by class name; never written after the catalogue is made
	names   []string          // sorted
	literal bool              // see Literal
}

// entry is one class: either the text of its definition, or a tree, until it is first asked for.
type entry struct {
	// A catalogue has about 900 classes and a workflow uses 20, so decoding is put off. text and tree are dropped
	// once class is there.
	once  sync.Once
	text  []byte // of our own compact form, in which the mark "open" counts
	tree  *source.Value
	class *Class

	// What Derived keeps: made at most once, whoever asks first.
	derive  sync.Once
	derived any
}

// Class gives a class by its name. The first call for a class decodes it.
func (c *Catalogue) Class(name string) (*Class, bool) {
	e, ok := c.entries[name]
	if !ok {
		return nil, false
	}
	e.once.Do(func() {
		// What a class says depends on where it comes from alone: it may be in several catalogues, see With.
		packed := e.tree == nil
		if packed {
			e.tree = parseClass(e.text)
		}
		e.class = decodeClass(name, e.tree, packed)
		e.text, e.tree = nil, nil
	})
	return e.class, true
}

// Derived gives what a function makes of a class, nil if the class is not known. The function is called once for each class, and what it made
// is kept as long as the class is, so it must be read-only and depend on the class alone. There is room for one such thing per class: the
// conversion of workflows (compiler/lower) keeps its view of the class there.
func (c *Catalogue) Derived(name string, make func(*Class) any) any {
	class, ok := c.Class(name)
	if !ok {
		return nil
	}
	e := c.entries[name]
	e.derive.Do(func() { e.derived = make(class) })
	return e.derived
}

// Has tells whether a class is known, without decoding it.
func (c *Catalogue) Has(name string) bool { return c.entries[name] != nil }

// Names lists all classes, sorted. The slice is shared: it must not be changed.
func (c *Catalogue) Names() []string { return c.names }

// Len counts the classes.
func (c *Catalogue) Len() int { return len(c.names) }

// Literal tells that the catalogue is a snapshot of one server: an option that is not in a list does not exist there. The built-in
// catalogue and imported ones are not literal: their open lists take any name.
func (c *Catalogue) Literal() bool { return c.literal }
