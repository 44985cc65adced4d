// Image to image: brings a picture to the size that a model likes, and draws over it. For a folder of pictures, let a batch sweep the
// LoadImage node before it: see img2img.yaml.
template({
  name: "Img2Img",
  description: "Draws over a picture.",
  inputs: {
    image: "IMAGE", model: "MODEL", clip: "CLIP", vae: "VAE",
    prompt: { type: "STRING", default: "", multiline: true }, negative: { type: "STRING", default: "", multiline: true },
    seed: { type: "INT", default: 0, min: 0, max: 18446744073709551615n },
    strength: { type: "FLOAT", default: 0.6, min: 0, max: 1, tooltip: "0 keeps the picture, 1 forgets it" },
    megapixels: { type: "FLOAT", default: 1, min: 0.01, max: 16 },
    steps: { type: "INT", default: 24, min: 1, max: 200 }, cfg: { type: "FLOAT", default: 6, min: 0, max: 30 },
  },
  outputs: { image: "IMAGE" },
  expand(g, { image, model, clip, vae, prompt, negative, seed, strength, megapixels, steps, cfg }) {
    const sized = g.ImageScaleToTotalPixels({ image, upscale_method: "lanczos", megapixels });
    if (strength === 0) return { image: sized };
    const text = (words) => g.CLIPTextEncode({ clip, text: words });
    const drawn = g.KSampler({
      model, seed, steps, cfg, sampler_name: "dpmpp_2m", scheduler: "karras", denoise: strength,
      positive: text(prompt), negative: text(negative), latent_image: g.VAEEncode({ pixels: sized, vae }),
    });
    return { image: g.VAEDecode({ samples: drawn, vae }) };
  },
});
