// Package lower turns a workflow in ComfyUI's UI form, as its editor saves it, into the API form, the prompt that is sent to a server:
// exactly what "Export (API)" of the ComfyUI frontend 1.58.1 gives for it, seeds above 2^53 apart, which survive here.
//
// The frontend has no converter. It loads a file into a live graph, in which nodes make widgets, inputs grow, subgraph instances take over
// values and older notations are mended; then it walks that graph. [Lower] does the same on a small model of that graph, as passes which
// are named in one list in lower.go. A pass that meets what the frontend refuses adds an error and no later pass runs. What the
// frontend does silently although its user hardly meant it is done here too, with a warning at the place in the file.
//
// All state lives in one value per call, so any number of goroutines may call Lower at once; the input tree is only read.
//
// Limits, each a finding when it is passed: 200,000 nodes after subgraphs are expanded, 64 levels of nested subgraphs, 20,000,000 steps
// along links, and 48 MiB of memory and 64 times the file's size. Work is linear in the nodes, widgets and links of the expanded workflow,
// as long as chains of bypassed nodes are short.
//
// What a class's nodes look like when they are made is worked out once per class and catalogue, and copied (proto.go). The many small things
// of a conversion lie in slabs that later conversions use again (room.go); a prompt's own values do not.
package lower
