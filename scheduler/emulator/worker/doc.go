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
// # Example
//
//	prompt := []byte(`{"1": {"class_type": "EmptyImage", "inputs": {"width": 64,
//		"height": 64, "batch_size": 2, "color": 16711680}}, "2": {"class_type":
//		"SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "red"}}}`)
//	result, err := worker.Run(ctx, prompt, worker.Options{})
//	// result.Files: red_00001_.png and red_00002_.png, Type "output", Node "2"
//
// # Files
//
// image_*.go and mask.go hold nodes that move pixels, latent.go, cond.go,
// model.go and sample.go those that stand in for a model, draw*.go what is
// drawn for them. resample_*.go, random.go, median_cut.go and image_yuv.go
// follow torch, Pillow, numpy and FFmpeg bit by bit; tests hold them against
// recorded pixels.
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
// at most 32768 pixels a side, and all batches alive at one time four times
// that. A node that would go beyond fails, and so does a node that panics; the
// other branches still run. The context is checked between nodes.
package worker
