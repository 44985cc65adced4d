// Package graph turns an API-format prompt into a checked DAG, with ComfyUI's own verdict.
//
// [Build] runs the passes in the order in which a ComfyUI server (0.26.0) looks at a posted prompt: the shape of the nodes, replacements of
// old classes, unknown classes, then from each output node through its links to every node that it needs, checking each once. What the
// server answers is in the [Verdict]: the same types of errors on the same nodes and inputs, but with places, and in words that say
// what to do. Values are coerced as the server does and stand so in the [Graph].
//
// Then come the lints: warnings about what a server accepts, and what then fails or does nothing when it runs.
//
// Build keeps nothing and may be called from any number of goroutines; a Graph is read-only once built. Time and memory are linear in the
// prompt's size; chains of any length are walked without recursion.
package graph
