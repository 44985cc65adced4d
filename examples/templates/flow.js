// A whole workflow as a script: `workflow: flow.js` in a batch. Its nodes are numbered in the order in which they are made.
workflow((g) => {
  const { MODEL, CLIP, VAE } = g.CheckpointLoaderSimple({ ckpt_name: "sd_xl_base_1.0.safetensors" });
  const text = (words, title) => g.CLIPTextEncode({ clip: CLIP, text: words }, { title });
  const drawn = g.KSampler({
    model: MODEL, positive: text("a red fox in the snow", "positive"), negative: text("blurry", "negative"),
    latent_image: g.EmptyLatentImage({ width: 1024, height: 1024 }), steps: 24, cfg: 6.5, sampler_name: "dpmpp_2m", scheduler: "karras",
  });
  g.SaveImage({ images: g.VAEDecode({ samples: drawn, vae: VAE }), filename_prefix: "fox" });
});
