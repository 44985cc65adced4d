// ControlNet stack: up to three ControlNets on one conditioning; those whose image is not linked are left out.
template({
  name: "ControlNetStack",
  description: "Applies up to three ControlNets, one after another.",
  inputs: {
    positive: "CONDITIONING", negative: "CONDITIONING", vae: { type: "VAE", optional: true },
    image1: { type: "IMAGE", optional: true }, net1: { type: "STRING", default: "" }, strength1: { type: "FLOAT", default: 1, min: 0, max: 10 },
    image2: { type: "IMAGE", optional: true }, net2: { type: "STRING", default: "" }, strength2: { type: "FLOAT", default: 1, min: 0, max: 10 },
    image3: { type: "IMAGE", optional: true }, net3: { type: "STRING", default: "" }, strength3: { type: "FLOAT", default: 1, min: 0, max: 10 },
    end: { type: "FLOAT", default: 1, min: 0, max: 1 },
  },
  outputs: { positive: "CONDITIONING", negative: "CONDITIONING" },
  expand(g, { positive, negative, vae, end, image1, net1, strength1, image2, net2, strength2, image3, net3, strength3 }) {
    const nets = [
      { image: image1, net: net1, strength: strength1 },
      { image: image2, net: net2, strength: strength2 },
      { image: image3, net: net3, strength: strength3 },
    ];
    for (const { image, net, strength } of nets) {
      if (image === undefined || strength === 0) continue;
      if (net === "") throw new Error("an image is linked, and its ControlNet has no name");
      const applied = g.ControlNetApplyAdvanced({
        positive, negative, image, vae, strength, start_percent: 0, end_percent: end, control_net: g.ControlNetLoader({ control_net_name: net }),
      });
      positive = applied.positive;
      negative = applied.negative;
    }
    return { positive, negative };
  },
});
