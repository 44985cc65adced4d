// Upscale chain: an upscale model several times, each followed by a reduction, so that any factor can be reached in steps.
template({
  name: "UpscaleChain",
  description: "Enlarges by a factor with a 4x upscale model.",
  inputs: {
    image: "IMAGE",
    upscale_model: { type: "STRING", default: "4x-UltraSharp.pth" },
    factor: { type: "FLOAT", default: 2, min: 1, max: 16 },
    model_factor: { type: "FLOAT", default: 4, min: 1.5, max: 8, tooltip: "by what the model enlarges" },
    sharpen: { type: "FLOAT", default: 0, min: 0, max: 5 },
  },
  outputs: { image: "IMAGE" },
  expand(g, { image, upscale_model, factor, model_factor, sharpen }) {
    if (factor > 1) {
      const loaded = g.UpscaleModelLoader({ model_name: upscale_model });
      for (let left = factor; left > 1.0001; left /= model_factor) {
        image = g.ImageUpscaleWithModel({ upscale_model: loaded, image });
        if (left < model_factor) image = g.ImageScaleBy({ image, upscale_method: "area", scale_by: Math.round(left / model_factor * 100) / 100 });
      }
    }
    if (sharpen > 0) image = g.ImageSharpen({ image, sharpen_radius: 1, sigma: 1, alpha: sharpen });
    return { image };
  },
});
