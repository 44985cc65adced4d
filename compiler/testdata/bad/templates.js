const one = (name, expand) => template({ name, inputs: { image: "IMAGE", n: { type: "INT", default: 1 } }, outputs: { image: "IMAGE" }, expand });
one("Throws", (g, { n }) => { throw new Error(`no more than ${n}`); });
one("Loops", (g, { n }) => { while (n > 0) n += 1; });
one("Allocates", (g, { n }) => {
  const all = [];
  for (;;) all.push(new Array(100000).fill(n));
});
one("Returns", (g, { image }) => ({ image: g.VAELoader({ vae_name: "x" }) }));
one("Mistakes", (g, { image }) => ({ image: g.ImageBlurr({ image }) }));
