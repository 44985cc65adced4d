package diag

// scriptCodes are findings about node templates and workflows written as scripts.
var scriptCodes = []Explanation{
	// The script as such: it runs in a sandbox without a clock, files or a network.
	{Code: "script_syntax", Title: "a script cannot be read",
		Text: "Templates are JavaScript, or TypeScript in files that end in .ts. They are scripts, not modules: there is no import and no require. Types are taken out, not checked; an editor checks them with the file that `comfyc nodes types` writes."},
	{Code: "script_failed", Title: "a script threw an error",
		Text: "The place is where it was thrown. A script may throw by itself to refuse inputs that it cannot do anything with.",
		Good: "if (scale > 4) throw new Error(`scale ${scale} is too large for this model`);"},
	{Code: "script_time", Title: "a script ran too long",
		Text: "An expansion may take one and a half seconds; common ones take a tenth of a millisecond. Look for a loop without end, and for a regular expression that tries everything."},
	{Code: "script_memory", Title: "a script used too much memory",
		Text: "Scripts run in a process of their own, which may use 256 MiB."},
	{Code: "script_depth", Title: "a script's calls are nested too deep",
		Text: "At most 1,000 calls may be nested. Look for a function that calls itself without end."},
	{Code: "script_nodes", Title: "the templates make too many nodes",
		Text: "All templates of one workflow may make 10,000 nodes together."},
	{Code: "script_output", Title: "a script makes too large values",
		Text: "The values that one expansion gives to nodes may have 4 MiB together."},
	// What the script defines.
	{Code: "bad_template", Title: "a template's definition is wrong",
		Text: "A template has a name, inputs, outputs and a function expand. An input is a type (\"IMAGE\"), a list of options, or an object {type, default, min, max, step, options, optional, multiline, tooltip}; an output is a type.",
		Bad:  "template({name: \"Up\", inputs: {scale: 1.5}, expand(g) { … }})", Good: "template({name: \"Up\", inputs: {scale: {type: \"FLOAT\", default: 1.5}}, expand(g, {scale}) { … }})"},
	{Code: "template_shadows", Title: "a template has the name of a node class",
		Text: "Workflows that use the class would silently get the template. Choose another name."},
	{Code: "template_cycle", Title: "templates use each other without end",
		Text: "A template may use other templates, 20 deep, but not itself: the nodes would never end. The chain is in the message."},
	{Code: "template_shape", Title: "an axis makes templates make too many different graphs",
		Text: "An axis may change values in the nodes that a template makes, and also which nodes and links there are: each different graph is checked on its own. There may be 256 of them. Let the template set a value to 0 instead of leaving nodes out, or write a batch for each part."},
	{Code: "too_many_expansions", Title: "axes feed templates with too many combinations",
		Text: "A template is expanded once for each combination of the axis values that feed it, at most 100,000 times. Seeds are better set on a sampler outside of the template, or the sweep sampled."},
	// What the script makes: nodes, their inputs, and what expand gives back.
	{Code: "bad_argument", Title: "a script gives a node something that is no value",
		Text: "Inputs of a node are numbers (a BigInt for integers above 2^53), texts, booleans, lists, objects, and outputs of other nodes. An output stands alone, not in a list; it is no number to count with, since its value is known only when the workflow runs.",
		Bad:  "g.ImageScaleBy({image, upscale_method: \"lanczos\", scale_by: () => 2})", Good: "g.ImageScaleBy({image, upscale_method: \"lanczos\", scale_by: 2})"},
	{Code: "unknown_output", Title: "a node has no such output",
		Text: "Outputs are named as in the class's definition (capital letters do not count), or by index from 0. A node with one output stands for that output; of a node with several, the one whose type fits is meant if there is only one.",
		Bad:  "const { unet } = g.CheckpointLoaderSimple({ckpt_name})", Good: "const { MODEL, CLIP, VAE } = g.CheckpointLoaderSimple({ckpt_name})"},
	{Code: "bad_output", Title: "expand returned something else than the declared outputs",
		Text: "It returns an object with one output of a node for each declared output, of its type; or the node itself where there is one output. A number, text or boolean may stand for an output of that type. It is not async.",
		Bad:  "outputs: {image: \"IMAGE\"}, expand(g, {image}) { g.ImageInvert({image}) }", Good: "outputs: {image: \"IMAGE\"}, expand(g, {image}) { return {image: g.ImageInvert({image})} }"},
}
