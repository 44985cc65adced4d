// Package cache keeps finished renders of all batches, so that none is paid for twice.
//
// A render is known by its [Key]: its id (the resolved graph, inputs by content, model names) and who made it (the worker image, or one endpoint
// where the image is not known; names and hashes of the models there). What is kept is what the endpoint gave, before any post-processing.
//
// A cache is a folder, or a prefix in a bucket, of two kinds of objects:
//
//	renders/ab/ab….json   one entry: which files a render gave, and where, when and for how much
//	files/cd/cd…          one file, named by the SHA-256 of its content
//
// Files are written before the entry that names them; both to a temporary name first, synced, and renamed. So a cut-off write leaves nothing that
// counts, and several processes may use one cache at once without a lock: what they write under one name is equal. A file that is damaged is
// noticed by its hash when it is read, and removed; its render is not known any more then, and is rendered again.
//
// [Cache.Sweep] keeps a cache within a size: what was used longest ago goes first. A file that no entry names is removed once it is an hour old,
// as it may belong to an entry that is about to be written.
//
// All methods may be called from many goroutines at once. Entries are suspects like all files: they are bounded and checked when they are read.
//
// Limits: an entry is at most 1 MiB and names at most 4096 files. In a bucket, the age of an entry is that of its last use only as far as the
// bucket takes writes.
package cache
