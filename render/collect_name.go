package render

import (
	"fmt"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/filename"
	"github.com/comfyc/comfyc/scheduler"
)

// place is where an output belongs.
type place struct {
	owed  compiler.Owed
	batch int  // index in the image batch, from 0
	first bool // whether its node is the first output of the render
}

// String names the output node as a user knows it.
func (p place) String() string {
	if p.owed.Title == "" || p.owed.Title == p.owed.Class {
		return fmt.Sprintf("%s %s", p.owed.Class, p.owed.Node)
	}
	return fmt.Sprintf("%s %s (%s)", p.owed.Class, p.owed.Node, clip(p.owed.Title, 80))
}

// explain puts the output's name before what is wrong with it.
func (p place) explain(err error) error {
	if bad, ok := err.(*badOutput); ok {
		return &badOutput{bad.kind, p.String() + ": " + bad.reason}
	}
	return err
}

// fileName gives the output its name below images/: that of the render, for its second
// output node with the node's id, for the second picture of a batch with -2. A name that
// another render has taken gets the render's index too.
func (c *Collector) fileName(p place, got *received) (string, error) {
	info := FileInfo{Node: p.owed.Node, Batch: p.batch, Width: got.pixels.X, Height: got.pixels.Y}
	name, err := c.Name(p.owed.Render, info)
	if err != nil {
		return "", &badOutput{scheduler.Rejected, "no file name: " + err.Error()}
	}
	if !safePath(name) {
		return "", &badOutput{scheduler.Rejected, fmt.Sprintf("file name %q leads out of the output folder", name)}
	}
	// Asked again as if it were the first of the image batch: a pattern with %batch% gives another name then.
	zero := info
	zero.Batch = 0
	whole, err := c.Name(p.owed.Render, zero)
	numbered := err == nil && whole != name // the pattern tells the pictures of a batch apart
	// A render with two SaveImage nodes gives fox.png and fox-n12.png.
	if !p.first {
		name += "-n" + filename.Safe(p.owed.Node)
	}
	if p.batch > 0 && !numbered {
		name += fmt.Sprintf("-%d", p.batch+1)
	}
	return c.claim(p.owed.Render, name), nil
}

// claim reserves a name for a render and returns it, with the render's index where
// another render has it.
func (c *Collector) claim(render int, name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	// fox, then fox-r7 for render 7, then fox-r7-2, …: it ends, as only so many names are taken.
	for n := 0; ; n++ {
		try := name
		if n > 0 {
			try = fmt.Sprintf("%s-r%d", name, render)
		}
		if n > 1 {
			try = fmt.Sprintf("%s-%d", try, n)
		}
		if owner, taken := c.claims[filename.Key(try)]; !taken || owner == render {
			c.claims[filename.Key(try)] = render
			return try
		}
	}
}
