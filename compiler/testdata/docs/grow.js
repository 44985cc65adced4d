template({
  name: "Grow",
  inputs: { image: "IMAGE", scale: { type: "FLOAT", default: 2, min: 1, max: 4 }, times: { type: "INT", default: 1, min: 0, max: 3 }, method: { options: ["area", "lanczos"], default: "area" } },
  outputs: { image: "IMAGE" },
  expand(g, { image, scale, times, method }) {
    for (let i = 0; i < times; i++) image = g.ImageScaleBy({ image, upscale_method: method, scale_by: scale });
    return { image };
  },
});
