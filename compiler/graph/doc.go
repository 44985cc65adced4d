// Package graph turns an API-format prompt into a checked DAG, with ComfyUI's own verdict.
package graph
