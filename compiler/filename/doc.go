// Package filename turns patterns such as "%axis.prompt%/%KSampler.seed%" into file names that every file system takes.
//
// The compiler uses it to see before anything is rendered that no two renders share a name; the collector uses the same code to
// name what came. A [Pattern] is parsed once and may be used from many goroutines; no function here does I/O, reads a clock or
// keeps state.
//
// For example, "%axis.style%/%seed%" with the style "oil: thick" and the seed 7 gives the path "oil_
// thick/7", to which the collector adds the extension of the file that came. What the file is called never
// comes from a worker.
//
// Limits: a pattern has at most 4096 bytes and 16 folders, a segment of a name at most [MaxSegment] bytes.
package filename
