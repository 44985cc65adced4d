// Package compiler turns a batch into a [Plan], and checks and converts workflows.
//
// [Compile] runs the passes listed in compile.go: it reads batch.yaml and the workflow, checks the workflow once, finds the inputs that the
// axes set, checks each of their values once, and resolves every coordinate of the sweep into a render. A render is the shared graph
// plus patches, and its id is the hash of what is paid for: adding an axis value or renaming a node keeps the ids, and so the
// finished work, of everything that stays the same. Where values of an axis decide which nodes a template makes, a plan has several graphs, each
// checked on its own. Equal files and equal seeds give byte-equal plans. A batch may be written in code, too: [NewBatch].
//
// A mistake in the input is a [diag.Diagnostic] with its place; an error value is returned only where there is no file to point at.
// [Check] says what is wrong with workflows and batches without planning, [Convert] gives a workflow's API form.
//
// Stability: [NewBatch], [Compile], [Check], [Convert] and [Plan] are what programs are written against and change last; the packages below this one,
// but for source, diag and view, serve it alone and may change at any time. Before version 1, CHANGELOG.md says what did.
//
// Concurrency: functions use only their arguments and start no goroutines. A [Plan] never changes once it is made, and all its methods may be
// called from many goroutines.
//
// Limits: 10,000,000 coordinates, 200 axes, 256 graphs, 1 MiB of text in one input, 64 renders in one job, 2 GiB for one uploaded file, and those of the
// packages source, sweep and graph. A plan takes about 40 bytes for each render.
package compiler
