// Hires fix: draws small, enlarges the latent, and draws over it with less noise, so that large pictures keep their composition.
template({
  name: "HiresFix",
  description: "Draws in two passes, the second one larger.",
  inputs: {
    model: "MODEL", positive: "CONDITIONING", negative: "CONDITIONING", latent: "LATENT", vae: "VAE",
    seed: { type: "INT", default: 0, min: 0, max: 18446744073709551615n },
    steps: { type: "INT", default: 20, min: 1, max: 200 },
    cfg: { type: "FLOAT", default: 7, min: 0, max: 30 },
    scale: { type: "FLOAT", default: 1.5, min: 1, max: 4 },
    denoise: { type: "FLOAT", default: 0.5, min: 0, max: 1 },
    second_steps: { type: "INT", default: 0, min: 0, max: 200, tooltip: "0: as many as the noise needs" },
    sampler: { options: ["euler", "dpmpp_2m", "heun", "dpmpp_sde"], default: "euler" },
    scheduler: { options: ["normal", "karras", "simple"], default: "normal" },
  },
  outputs: { image: "IMAGE", latent: "LATENT" },
  expand(g, { model, positive, negative, latent, vae, seed, steps, cfg, scale, denoise, second_steps, sampler, scheduler }) {
    const common = { model, positive, negative, seed, cfg, sampler_name: sampler, scheduler };
    let drawn = g.KSampler({ ...common, latent_image: latent, steps, denoise: 1 }, { title: "first pass" });
    if (scale > 1) {
      const larger = g.LatentUpscaleBy({ samples: drawn, upscale_method: "bislerp", scale_by: scale });
      const again = second_steps || Math.max(1, Math.ceil(steps * denoise));
      drawn = g.KSampler({ ...common, latent_image: larger, steps: again, denoise }, { title: "second pass" });
    }
    return { image: g.VAEDecode({ samples: drawn, vae }), latent: drawn };
  },
});
