package script

import "time"

// Main is the name of the template that a whole workflow written as a script registers.
const Main = "main"

// Options bound what scripts may do. The zero value of each field means its default.
type Options struct {
	InProcess bool          // run scripts in this process; see the package's documentation for what that cannot stop
	Command   []string      // program and arguments that start a process which calls Serve; needed unless InProcess is set
	Timeout   time.Duration // of one expansion, and of loading; 1.5 s. Reports come before two seconds are over
	MaxNodes  int           // nodes that all expansions of one prompt make; 10,000
	MaxDepth  int           // nested calls in a script; 1,000
	MaxOutput int           // bytes of all values that one expansion makes; 4 MiB
	MemoryMiB int           // of a child; 256
	Seed      uint64        // of random()
}

// The bounds that no option changes.
const (
	maxFile      = 1 << 20  // bytes of one script
	maxFiles     = 1000     // of one Set
	maxSource    = 16 << 20 // bytes of all scripts of one Set, with their names
	maxArgs      = 16 << 20 // bytes of all values that one use of a template is given
	maxTotal     = 64 << 20 // bytes of what all expansions of one prompt make
	maxTemplates = 1000     // of one file
	maxDeclared  = 10_000   // templates of one Set
	maxPorts     = 200      // inputs, or outputs, of one template
	maxInputs    = 2000     // of one node: autogrow inputs make more than maxPorts possible, but not without end
	maxTitle     = 2000     // bytes of a node's title: 300 characters and a sign that there were more
	maxNested    = 32       // levels of a value
	maxValues    = 200_000  // that one expansion writes: links, numbers, texts, lists, members
	maxChain     = 20       // templates within templates
	maxName      = 200      // bytes of a template's, an input's or a class's name
	maxFindings  = 1000     // errors of one prompt, after which its templates are not looked at any further
)

// withDefaults fills in what is zero or negative. The soft time limit of an engine is half of Timeout, see
// bounds.SoftMS.
func (o Options) withDefaults() Options {
	set := func(n *int, value int) {
		if *n <= 0 {
			*n = value
		}
	}
	if o.Timeout <= 0 {
		o.Timeout = 1500 * time.Millisecond
	}
	set(&o.MaxNodes, 10_000)
	set(&o.MaxDepth, 1_000)
	set(&o.MaxOutput, 4<<20)
	set(&o.MemoryMiB, 256)
	return o
}
