// Package graph turns an API-format prompt into a checked DAG, with ComfyUI's own verdict.
//
// [Build] runs the passes in the order in which a ComfyUI server (0.26.0) looks at a posted prompt: the shape of the nodes, replacements of
// old classes, unknown classes, then from each output node through its links to every node that it needs, checking each once. What the
// server answers is in the [Verdict]: the same types of errors on the same nodes and inputs, but with places, and in words that say
// what to do. Values are coerced as the server does and stand so in the [Graph].
//
// For example, let node 3 be a SaveImage that links to node 2, an EmptyImage with the width "512" and the
// height 0. The width becomes the number 512 without a word; the height gives value_smaller_than_min at the
// 0, as the minimum is 1; node 3 needs node 2 and so is no good output; and as there is no other output,
// the prompt is not valid. With a second, good SaveImage it would be: the error is then a warning, and a
// lint says that an output is left out.
//
// Then come the lints: warnings about what a server accepts, and what then fails or does nothing when it runs.
//
// Build keeps nothing and may be called from any number of goroutines; a Graph is read-only once built. Time and memory are linear in the
// prompt's size; chains of any length are walked without recursion.
package graph
