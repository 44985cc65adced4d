// Package render turns the results of attempts into files, the files into a
// manifest, and the manifest into a gallery.
//
// The collector ([Collector]) takes outputs as workers give them (base64, data
// URIs, URLs), writes each to disk while hashing it, tells its type by its content,
// compares what came with what was owed, and names it. The manifest ([Manifest]) is
// the record of a batch from which everything shown is made: [Gallery] needs nothing
// else. A run directory holds
//
//	index.html     the gallery, which opens from disk
//	index.csv      the same as a table
//	contact-sheet.png  the thumbnails under the axes' names, in one picture
//	manifest.json  the record
//	images/        the outputs, under the names that output.filename gives;
//	               with named variants in a folder for each
//	originals/     with post-processing: the pictures as they came
//	thumbs/        a small JPEG of each picture
//	.comfyc/       the run's state, and tmp/: what is being received
//
// Everything that a worker sends is suspect: names, sizes, types and pixels. A
// damaged or hostile file becomes an error of its own render and never a panic.
//
// Every file is written under a temporary name, synced, and renamed; a reader
// sees the old file or the new one.
//
// Concurrency: a [Collector] may be used from many goroutines at once. Everything
// else works on its arguments alone. No goroutine outlives a call.
//
// Limits: the Max constants beside each type.
package render
