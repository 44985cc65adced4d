// Contact sheet: one picture of many, a seed each, stitched together inside the graph, so that one file comes back.
template({
  name: "ContactSheet",
  description: "Draws rows × columns pictures with seeds that follow each other, as one picture.",
  inputs: {
    model: "MODEL", positive: "CONDITIONING", negative: "CONDITIONING", latent: "LATENT", vae: "VAE",
    seed: { type: "INT", default: 1, min: 0, max: 9007199254740000 },
    rows: { type: "INT", default: 2, min: 1, max: 10 }, columns: { type: "INT", default: 3, min: 1, max: 10 },
    steps: { type: "INT", default: 12, min: 1, max: 200 }, cfg: { type: "FLOAT", default: 7, min: 0, max: 30 },
    gap: { type: "INT", default: 8, min: 0, max: 64 },
  },
  outputs: { image: "IMAGE" },
  expand(g, { model, positive, negative, latent, vae, seed, rows, columns, steps, cfg, gap }) {
    const cell = (n) => g.VAEDecode({ vae, samples: g.KSampler({
      model, positive, negative, latent_image: latent, seed: seed + n, steps, cfg, sampler_name: "euler", scheduler: "normal" }, { title: `seed ${seed + n}` }) });
    const join = (list, direction) => list.reduce((image1, image2) =>
      g.ImageStitch({ image1, image2, direction, match_image_size: true, spacing_width: gap - gap % 2, spacing_color: "white" }));
    const row = (r) => join(Array.from({ length: columns }, (_, c) => cell(r * columns + c)), "right");
    return { image: join(Array.from({ length: rows }, (_, r) => row(r)), "down") };
  },
});
