// ---- compare: pinned pictures with the current one; one pin in one of three ways, several side by side
const maxPins = 8;
const pane = (c, f, all) => el("div", "pane", large(f, c), el("span", "tag left", differs(c, all)));
// differs names what sets a compared picture apart from the others.
function differs(c, all) {
  return axes.filter(a => all.some(p => label(c, a.name) !== label(p.c, a.name))).map(a => a.name + " " + shown(label(c, a.name))).join(", ") || describe(c);
}
function setPin() {
  const f = cur && (cur.files || [])[fileAt];
  if (!f || f.kind !== "image") return;
  const had = pins.some(p => p.f === f);
  pins = had ? pins.filter(p => p.f !== f) : [...pins, { c: cur, f }].slice(-maxPins);
  text("live", had ? "Not pinned any more." : pins.length + " pinned. Move to another picture to compare.");
  showMedia();
}
function unpin() {
  pins = [];
  text("live", "Nothing is pinned any more.");
  showMedia();
}
function compareTools(others) {
  const f = cur && (cur.files || [])[fileAt];
  $("pin").setAttribute("aria-pressed", pins.some(p => p.f === f));
  $("pin").textContent = pins.length ? "Pin (" + pins.length + ")" : "Compare";
  $("unpin").hidden = !pins.length;
  $("mode").hidden = others !== 1;
  $("mode").value = mode;
  $("split").hidden = others !== 1 || mode !== "slider";
  setSplit(split);
}
function setMode(m) {
  mode = m;
  store("compare", m);
  showMedia();
}
function setSplit(v) {
  split = v;
  $("split").value = v;
  const p = $("media").matches(".many") ? null : $("media").querySelectorAll(".pane")[1];
  if (p) p.style.clipPath = mode === "slider" ? "inset(0 0 0 " + v + "%)" : "";
}

function setZoom(z, x, y) {
  zoom = Math.min(16, Math.max(1, z));
  [panX, panY] = zoom === 1 ? [0, 0] : [x, y];
  const move = zoom === 1 ? "" : "translate(" + panX + "px," + panY + "px) scale(" + zoom + ")";
  const apart = $("media").matches(".two.side"); // panes keep their place, their pictures move in step
  $("media").style.transform = apart ? "" : move;
  if (apart) for (const i of $("media").querySelectorAll(".pane > :first-child")) i.style.transform = move;
  text("zfit", zoom === 1 ? "Fit" : Math.round(zoom * 100) + " %");
}
// zoomBy keeps the point that lies x, y pixels from the middle where it is.
const zoomBy = (k, x = 0, y = 0) => { const z = Math.min(16, Math.max(1, zoom * k)); k = z / zoom; setZoom(z, x - (x - panX) * k, y - (y - panY) * k); };
function oneToOne() {
  const img = $("media").querySelector("img");
  if (zoom > 1 || !img || !img.naturalWidth) return setZoom(1, 0, 0);
  const fit = Math.min(img.clientWidth / img.naturalWidth, img.clientHeight / img.naturalHeight) * devicePixelRatio;
  setZoom(fit < .8 ? 1 / fit : 2, 0, 0);
}

