// Package worker runs image workflows as the GPU worker of an endpoint does.
//
// A prompt in API form is executed from its output nodes backwards. Nodes that
// only move pixels (load, scale, crop, blend, composite, mask, batch, save) do
// exactly what ComfyUI 0.26 does: the resampling kernels of torch and Pillow,
// the truncation to 8 bits, the batch and mask rules. Nodes that need a model
// (loaders, text encoders, samplers, decoders) are drawn: their picture is a
// deterministic stand-in made from the latent's size, the seed, the prompt and
// the settings, with the word PREVIEW in its pixels and in its metadata. All
// other classes are refused by name; nothing is faked silently.
//
// The table of classes is in classes.go and models.go; [Supports] answers from
// it, so a plan can say beforehand what a preview will not show.
//
// # Concurrency
//
// [Run] works in the calling goroutine only and keeps no state between calls;
// any number of runs may go on at once. Options.Inputs and Options.Counter are
// called from that goroutine.
//
// # Limits
//
// A prompt has at most 16 MiB and 10,000 nodes. One batch of pictures holds at
// most Options.MaxPixels pixels (64 Mi by default) in at most 4096 pictures of
// at most 16384 pixels a side, and all batches alive at one time four times
// that. A node that would go beyond fails, and so does a node that panics; the
// other branches still run. The context is checked between nodes.
package worker
