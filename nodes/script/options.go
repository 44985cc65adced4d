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
	maxFile      = 1 << 20
	maxFiles     = 1000
	maxTemplates = 1000
	maxPorts     = 200 // inputs, or outputs, of one template
	maxNested    = 32  // levels of a value
	maxValues    = 200_000
	maxChain     = 20 // templates within templates
	maxName      = 200
)

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
