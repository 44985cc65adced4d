// Package script expands node templates: JavaScript or TypeScript files that make one node of a workflow into many.
//
// A file registers templates by template({name, inputs, outputs, expand(g, inputs)}), or one whole workflow by
// workflow(g => …) or workflow({inputs, expand}), which is the template called [Main]. [Load] runs the files once and says what
// they declare; each template is then a node class like any other ([Set.Class]). [Set.Expand] takes an API prompt in which
// nodes use templates and gives one without: node 12 becomes the nodes "12.1", "12.2", … in the order in which expand made them, a
// node 12.2 that uses a template itself becomes "12.2.1", …, and links to the outputs of 12 lead to what expand returned. All that
// a script makes keeps its place in the script.
//
// A worked example. The file hires.js holds
//
//	template({
//	  name: "HiresFix",
//	  inputs: { image: "IMAGE", scale: { type: "FLOAT", default: 1.5, min: 1, max: 4 } },
//	  outputs: { image: "IMAGE" },
//	  expand(g, { image, scale }) {
//	    return { image: g.ImageScaleBy({ image, upscale_method: "lanczos", scale_by: scale }) };
//	  },
//	});
//
// and the prompt {"7": …, "8": {"class_type": "HiresFix", "inputs": {"image": ["7", 0]}}, "9": {"class_type":
// "SaveImage", "inputs": {"images": ["8", 0]}}} becomes one in which "8.1" is an ImageScaleBy with the image ["7", 0]
// and the scale 1.5, and "9" saves ["8.1", 0].
//
// In expand, g.<Class>(inputs, {title}) adds a node (required values that have a default may be left out) and returns a
// handle: its outputs by name (capital letters do not count) or by index, or the handle itself where one output is meant.
// Inputs of a template are values (integers above 2^53 as BigInt) or such handles. Scripts are pure: there are no clock,
// files, network, modules or real randomness; random() gives numbers in [0, 1) that depend on the seed, the template and
// its inputs alone. So an expansion is made once for each distinct tuple of inputs.
//
// Trust: a script is a suspect. It runs in a child process ([Serve] is its main loop) without environment, with bounds on memory and
// time, and is killed when it passes them; the next request starts another. Nor is the child believed: an answer with numbers or sizes that
// cannot be is a finding, and the end of that child. A library's caller may set Options.InProcess: then
// endless loops, deep recursion and too many nodes are stopped, but built-in functions that run long or allocate
// without end (a regular expression, Array.prototype.sort, a huge JSON text) are not, and can take the whole process down.
//
// Concurrency: a Set may be used by many goroutines; expansions run one at a time. While a child lives, a goroutine reads
// its stderr, and a timer bounds each request; Close ends both.
//
// Limits: those of [Options]; 1,000 files of 1 MiB, 16 MiB together; 1,000 templates a file, 10,000 in all, with 200 inputs and
// outputs each; 16 MiB of values that a use is given, 64 MiB that all expansions of one prompt make; 200,000 values an expansion,
// nested 32 deep; 2,000 inputs a node.
package script
