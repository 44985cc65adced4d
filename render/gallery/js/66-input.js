// ---- lightbox input
const keys = {
  p: setPin, u: unpin, f: () => like(cur), m: () => pins.length === 1 && setMode({ side: "slider", slider: "diff", diff: "side" }[mode]),
  1: () => rate(cur, 1), 2: () => rate(cur, 2), 3: () => rate(cur, 3), 4: () => rate(cur, 4), 5: () => rate(cur, 5),
  i: () => details(), "+": () => zoomBy(1.4), "=": () => zoomBy(1.4), "-": () => zoomBy(1 / 1.4), "0": oneToOne,
  "[": () => open(cur.id, fileAt - 1), "]": () => open(cur.id, fileAt + 1), c: () => copy(cur.prompt || ""),
};
function details() {
  const off = box.classList.toggle("noinfo");
  $("itog").setAttribute("aria-pressed", !off);
  store("info", off ? "off" : "on");
}
box.addEventListener("keydown", e => {
  if (e.ctrlKey || e.metaKey || e.altKey || /^(VIDEO|AUDIO|SELECT|INPUT)$/.test(e.target.tagName)) return;
  const a = arrows[e.key], k = keys[e.key];
  if (!a && !k) return;
  e.preventDefault();
  if (a) go(...a); else k();
});
box.addEventListener("close", () => {
  const id = cur && cur.id;
  S.open = "";
  cur = null;
  pins = [];
  $("media").replaceChildren();
  writeHash();
  if (id) focusCell(id);
});
$("close").onclick = () => box.close();
$("prev").onclick = () => go(-1, 0);
$("next").onclick = () => go(1, 0);
$("zin").onclick = () => zoomBy(1.4);
$("zout").onclick = () => zoomBy(1 / 1.4);
$("zfit").onclick = oneToOne;
$("itog").onclick = details;
$("pin").onclick = setPin;
$("unpin").onclick = unpin;
options($("mode"), Object.entries(modes), mode);
$("mode").onchange = e => setMode(e.target.value);
$("split").oninput = e => setSplit(+e.target.value);

const stage = $("stage");
const fromMiddle = e => { const r = stage.getBoundingClientRect(); return [e.clientX - r.left - r.width / 2, e.clientY - r.top - r.height / 2]; };
const onMedia = e => e.target.closest("#media") && !e.target.closest("video,audio,pre");
stage.addEventListener("wheel", e => { if (!e.target.closest("pre,.strip")) { e.preventDefault(); zoomBy(Math.exp(-e.deltaY / 400), ...fromMiddle(e)); } }, { passive: false });
stage.addEventListener("dblclick", e => { if (onMedia(e)) oneToOne(); });
let drag = null;
// Two fingers zoom around the point between them, and move it.
const fingers = new Map();
let pinch = null;
const spread = () => { const [a, b] = [...fingers.values()], r = stage.getBoundingClientRect(); return { d: Math.hypot(a.x - b.x, a.y - b.y), x: (a.x + b.x) / 2 - r.left - r.width / 2, y: (a.y + b.y) / 2 - r.top - r.height / 2 }; };
stage.addEventListener("pointerdown", e => {
  if (e.pointerType !== "touch" || !onMedia(e)) return;
  fingers.set(e.pointerId, { x: e.clientX, y: e.clientY });
  if (fingers.size === 2) { pinch = spread(); drag = null; }
}, true);
stage.addEventListener("pointermove", e => {
  if (!fingers.has(e.pointerId)) return;
  fingers.set(e.pointerId, { x: e.clientX, y: e.clientY });
  if (!pinch || fingers.size !== 2) return;
  const now = spread();
  zoomBy(now.d / Math.max(1, pinch.d), pinch.x, pinch.y);
  setZoom(zoom, panX + now.x - pinch.x, panY + now.y - pinch.y);
  pinch = now;
}, true);
for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, e => { fingers.delete(e.pointerId); if (fingers.size < 2) pinch = null; }, true);
stage.addEventListener("pointerdown", e => {
  if (e.button || !onMedia(e) || !e.isPrimary) return;
  drag = { x: e.clientX, y: e.clientY, px: panX, py: panY };
  stage.setPointerCapture(e.pointerId);
});
stage.addEventListener("pointermove", e => { if (drag && zoom > 1) setZoom(zoom, drag.px + e.clientX - drag.x, drag.py + e.clientY - drag.y); });
stage.addEventListener("pointerup", e => {
  if (!drag) return;
  const dx = e.clientX - drag.x, dy = e.clientY - drag.y;
  if (zoom === 1 && e.pointerType === "touch") { // a swipe moves
    if (Math.abs(dx) > 50 && Math.abs(dx) > Math.abs(dy)) go(dx < 0 ? 1 : -1, 0);
    else if (Math.abs(dy) > 70) go(0, dy < 0 ? 1 : -1);
  }
  drag = null;
});
stage.addEventListener("pointercancel", () => { drag = null; });

