// LoRA stack: any number of LoRAs in one text, a line each: "name.safetensors 0.8" or "name.safetensors 0.8 0.6" (model, clip).
interface Entry { name: string; model: number; clip: number }

function parse(line: string): Entry {
  const match = /^(.+?)(?:\s+(-?[\d.]+))?(?:\s+(-?[\d.]+))?$/.exec(line);
  if (match === null) throw new Error(`not a LoRA: ${line}`);
  const model = Number(match[2] ?? 1);
  const clip = Number(match[3] ?? model);
  if (Number.isNaN(model) || Number.isNaN(clip)) throw new Error(`a strength is no number: ${line}`);
  return { name: match[1]!, model, clip };
}

template({
  name: "LoraStack",
  description: "Loads LoRAs one after another; # starts a comment.",
  inputs: { model: "MODEL", clip: "CLIP", loras: { type: "STRING", default: "", multiline: true } },
  outputs: { model: "MODEL", clip: "CLIP" },
  expand(g, { model, clip, loras }) {
    const lines = loras.split("\n").map((line) => line.replace(/#.*/, "").trim()).filter((line) => line !== "");
    for (const entry of lines.map(parse)) {
      if (entry.model === 0 && entry.clip === 0) continue;
      const loaded = g.LoraLoader({ model, clip, lora_name: entry.name, strength_model: entry.model, strength_clip: entry.clip }, { title: entry.name });
      model = loaded.MODEL;
      clip = loaded.CLIP;
    }
    return { model, clip };
  },
});
