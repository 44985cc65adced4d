// Package post turns one finished picture into others: resized, cropped, padded,
// turned, adjusted, marked, labelled, in another file format. What a batch declares
// under output.post is data, read and checked once by [ParseRecipe]; a [Recipe] has
// one list of steps or several named variants. [Source.Run] applies one list.
//
// The resampling is imaging's. That library works in goroutines of its own, where
// a malformed picture (a palette index out of range) would end the process; so
// every picture is first copied to 8-bit straight-alpha RGBA in the caller's
// goroutine, under recover, and only that copy is handed on.
//
// What a file says beside its pixels is read by [ReadMeta]: prompt and workflow
// are carried over to what is written, EXIF's orientation is to be applied with
// [Orient] before the steps, and what cannot be kept (16-bit samples, a colour
// profile) is told in [Picture].Notes.
//
// An example: a picture made small and marked, as JPEG with the prompt still in it.
//
//	recipe, err := post.ParseRecipe([]byte(`[{"resize": {"width": 512}}, {"watermark": "draft"},
//		{"format": {"type": "jpeg", "quality": 85}}]`), nil)
//	// check err
//	source := post.Source{Img: img, Meta: post.ReadMeta(file, "image/png")}
//	picture, err := source.Run(recipe.Variants[0].Steps)
//	// check err; picture.Notes says what was lost
//	err = picture.Encode(out) // picture.Format.Ext() is ".jpg"
//
// Concurrency: steps hold no state, all functions may be called from many
// goroutines at once. Each call uses up to GOMAXPROCS goroutines while it lasts
// and leaves none behind.
//
// Limits: 16-bit samples are cut to their high byte. No picture larger than [MaxPixels] is
// read or made; a list has at most [MaxSteps] steps, a recipe at most [MaxVariants]
// variants. PNG, JPEG and lossless WebP are written. Texts are drawn in Go Regular and Go
// Bold, which have Latin, Greek and Cyrillic letters.
package post
