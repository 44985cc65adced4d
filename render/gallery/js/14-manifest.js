// ---- the manifest, prepared; taken again when a running batch has got further
let M, axes, cells, axisOf, orderOf, byId, allPreview, anyPreview, ratio;
const label = (c, axis) => { const v = (c.coordinates || {})[axis]; return v == null ? "" : v; };
const rank = (axis, l) => { const i = orderOf.get(axis).get(l); return i === undefined ? 1e9 : i; };
const shown = l => l === "" ? "—" : l;
const describe = c => axes.filter(a => label(c, a.name) !== "").map(a => a.name + " " + label(c, a.name)).join(", ");
const hay = c => c.hay || (c.hay = [...Object.values(c.coordinates || {}), c.prompt, c.negative, c.seed, c.endpoint, c.gpu, c.worker, c.state, c.error,
  ...(c.params || []).map(p => p.name + "=" + p.value), ...(c.files || []).map(f => f.path)].filter(Boolean).join("\n").toLowerCase());
function take(m) {
  M = m;
  axes = M.axes || [];
  cells = M.cells || [];
  axisOf = new Map(axes.map(a => [a.name, a]));
  orderOf = new Map(axes.map(a => [a.name, new Map((a.values || []).map((v, i) => [v.label, i]))]));
  byId = new Map(cells.map(c => [c.id, c]));
  allPreview = anyPreview = false;
  let lo = Infinity, hi = 0, files = 0, previews = 0;
  for (const c of cells) for (const f of c.files || []) {
    files++;
    if (f.preview) previews++;
    if (f.width && f.height) { const r = f.width / f.height; lo = Math.min(lo, r); hi = Math.max(hi, r); }
  }
  anyPreview = previews > 0;
  allPreview = previews === files;
  ratio = hi && hi / lo < 1.02 ? Math.min(2.4, Math.max(.42, lo)) : 1; // of a face, width over height: that of the pictures if they agree
}
take(JSON.parse(document.getElementById("data").textContent));
// test reads one word of the filter: name=value asks for exactly that coordinate or setting, everything else is looked for everywhere.
function test(word) {
  const [, name, value] = /^([^=]+)=(.*)$/.exec(word) || [];
  const axis = name && axes.find(a => a.name.toLowerCase() === name);
  if (axis) return c => label(c, axis.name).toLowerCase() === value;
  if (name === "endpoint" || name === "gpu" || name === "state" || name === "seed") return c => String(c[name] || "").toLowerCase() === value;
  return c => hay(c).includes(word);
}
// words are separated by spaces; quotes hold a phrase together: "blue fox" sampler=euler prompt="a red fox".
const words = q => (q.toLowerCase().match(/[^\s"=]+="[^"]*"|"[^"]*"|\S+/g) || []).map(w => w.replaceAll('"', "")).filter(Boolean);

