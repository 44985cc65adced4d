package worker

// The table of what the preview knows. A new class is one line in pixelClasses
// or modelClasses and one function of the form func(*args) ([]value, error),
// which gives one value for each output slot.

// class is how the preview runs one node class.
type class struct {
	support Support
	// nil for a class that is not in the tables.
	run func(*args) ([]value, error)
	// output marks ComfyUI's output nodes: a run starts at them.
	output bool
	// lists marks classes that take whole lists (ComfyUI's INPUT_IS_LIST).
	lists bool
	// lazy names the inputs that are only resolved when choose says so, given
	// the others.
	lazy   func(input string) bool
	choose func(in map[string]value, input string) bool
}

// real is a class that does what ComfyUI does.
func real(run func(*args) ([]value, error)) class { return class{support: Real, run: run} }

// saves is a real class that is an output node.
func saves(run func(*args) ([]value, error)) class {
	return class{support: Real, run: run, output: true}
}

// ofLists is a real class that takes whole lists.
func ofLists(run func(*args) ([]value, error)) class {
	return class{support: Real, run: run, lists: true}
}

// classOf finds a class.
func classOf(name string) (class, bool) {
	if c, ok := pixelClasses[name]; ok {
		return c, true
	}
	c, ok := modelClasses[name]
	return c, ok
}

// pixelClasses are the classes that the preview runs exactly: by the name that
// a prompt has under class_type, which for newer nodes may end in Node or V2.
var pixelClasses = map[string]class{
	// Files in.
	"LoadImage":       real(loadImage),
	"LoadImageOutput": real(loadImage),
	"LoadImageMask":   real(loadImageMask),

	// Files out. PreviewImage, MaskPreview and ImageCompare write to the
	// temporary folder, which a serverless worker does not hand on.
	"SaveImage":         saves(saveImage),
	"SaveImageAdvanced": saves(saveImageAdvanced),
	"PreviewImage":      saves(previewImage),
	"MaskPreview":       saves(maskPreview),
	"ImageCompare":      saves(imageCompare),

	// Pixels. Most take and give one IMAGE.
	"ImageScale":                real(imageScale),
	"ImageScaleBy":              real(imageScaleBy),
	"ImageScaleToTotalPixels":   real(imageScaleToTotalPixels),
	"ImageScaleToMaxDimension":  real(imageScaleToMaxDimension),
	"ResizeAndPadImage":         real(resizeAndPad),
	"ResizeImageMaskNode":       real(resizeImageMask),
	"ResizeImagesByShorterEdge": real(resizeByShorterEdge),
	"ResizeImagesByLongerEdge":  real(resizeByLongerEdge),
	"FluxKontextImageScale":     real(kontextScale),
	"ImageCrop":                 real(imageCrop),
	"ImageCropV2":               real(imageCropV2),
	"CenterCropImages":          real(centerCrop),
	"RandomCropImages":          real(randomCrop),
	"CropByBBoxes":              real(cropByBBoxes),
	"PrimitiveBoundingBox":      real(boundingBox),
	"ImagePadForOutpaint":       real(padForOutpaint),
	"ImageStitch":               real(imageStitch),
	"ImageFlip":                 real(imageFlip),
	"ImageRotate":               real(imageRotate),
	"ImageInvert":               real(imageInvert),
	"ImageBlend":                real(imageBlend),
	"ImageBlur":                 real(imageBlur),
	"ImageSharpen":              real(imageSharpen),
	"ImageQuantize":             real(imageQuantize),
	"ImageAddNoise":             real(imageAddNoise),
	"ImageRGBToYUV":             real(rgbToYUV),
	"ImageYUVToRGB":             real(yuvToRGB),
	"Morphology":                real(morphology),
	"Canny":                     real(imageCanny),
	"AdjustBrightness":          real(adjustBrightness),
	"AdjustContrast":            real(adjustContrast),
	"NormalizeImages":           real(normalizeImages),
	"ImageCompositeMasked":      real(imageCompositeMasked),
	"PorterDuffImageComposite":  real(porterDuffComposite),
	"SplitImageWithAlpha":       real(splitAlpha),
	"JoinImageWithAlpha":        real(joinAlpha),
	"ImageBatch":                real(imageBatch),
	"BatchImagesNode":           real(batchImages),
	"BatchMasksNode":            real(batchMasks),
	"RepeatImageBatch":          real(repeatImageBatch),
	"ImageFromBatch":            real(imageFromBatch),
	"GetImageSize":              real(getImageSize),
	"EmptyImage":                real(emptyImage),
	"RebatchImages":             ofLists(rebatchImages),
	"MergeImageLists":           ofLists(mergeImageLists),
	"ShuffleDataset":            ofLists(shuffleImages),
	"ImageGrid":                 ofLists(imageGrid),
	"ImageDeduplication":        ofLists(deduplicate),
	"SplitImageToTileList":      real(splitTiles),
	"ImageMergeTileList":        ofLists(mergeTiles),
	"CreateList":                ofLists(createList),

	// Masks: one channel, 1 where something is to be done.
	"MaskToImage":      real(maskToImage),
	"ImageToMask":      real(imageToMask),
	"ImageColorToMask": real(imageColorToMask),
	"SolidMask":        real(solidMask),
	"InvertMask":       real(invertMask),
	"CropMask":         real(cropMask),
	"MaskComposite":    real(maskComposite),
	"FeatherMask":      real(featherMask),
	"GrowMask":         real(growMask),
	"ThresholdMask":    real(thresholdMask),

	// Values that steer a graph without any picture.
	"PrimitiveInt":             real(primitiveInt),
	"PrimitiveFloat":           real(primitiveFloat),
	"PrimitiveString":          real(primitiveString),
	"PrimitiveStringMultiline": real(primitiveString),
	"PrimitiveBoolean":         real(primitiveBoolean),
	"SeedNode":                 real(seedNode),
	"CustomCombo":              real(customCombo),
	"ComfyNotNode":             real(notNode),
	"ComfyAndNode":             real(andNode),
	"ComfyOrNode":              real(orNode),
	"ComfyNumberConvert":       real(numberConvert),
	"ComfySwitchNode":          switchNode(),
	"ResolutionSelector":       real(resolutionSelector),
	"PreviewAny":               saves(previewAny),

	// Texts.
	"StringConcatenate": real(stringConcatenate),
	"StringSubstring":   real(stringSubstring),
	"StringLength":      real(stringLength),
	"CaseConverter":     real(caseConverter),
	"StringTrim":        real(stringTrim),
	"StringReplace":     real(stringReplace),
	"StringContains":    real(stringContains),
	"StringCompare":     real(stringCompare),
}

// outputOnly are ComfyUI's output nodes that the preview does not run. A prompt
// with one of them names it in an error.
var outputOnly = map[string]bool{
	"CLIPSave": true, "CheckpointSave": true, "CreateBoundingBoxes": true,
	"ImageCompositor": true, "ImageOnlyCheckpointSave": true, "LoraSave": true, "LossGraphNode": true,
	"ModelSave": true, "Preview3D": true, "Preview3DAdvanced": true, "PreviewAudio": true,
	"PreviewGaussianSplat": true, "PreviewPointCloud": true, "SAM3_TrackPreview": true, "Save3DAdvanced": true,
	"SaveAnimatedPNG": true, "SaveAnimatedWEBP": true, "SaveAudio": true, "SaveAudioAdvanced": true,
	"SaveAudioMP3": true, "SaveAudioOpus": true, "SaveGLB": true, "SaveGaussianSplat": true,
	"SaveImageDataSetToFolder": true, "SaveImageTextDataSetToFolder": true, "SaveLatent": true,
	"SaveLoRA": true, "SavePointCloud": true, "SaveSVGNode": true, "SaveText": true,
	"SaveTrainingDataset": true, "SaveVideo": true, "SaveWEBM": true, "VAESave": true,
}
