// ---- lightbox
let cur = null, fileAt = 0, zoom = 1, panX = 0, panY = 0;
let pins = [], split = 50; // what the current picture is compared with: {c, f}
const modes = { side: "Side by side", slider: "Slider", diff: "Difference" };
let mode = modes[store("compare")] ? store("compare") : "side";

function open(id, file) {
  const c = byId.get(id);
  if (!c) return;
  cur = c;
  fileAt = Math.max(0, Math.min(file || 0, (c.files || []).length - 1));
  S.open = id;
  writeHash();
  if (!box.open) box.showModal();
  showMedia();
  showInfo();
  $("prev").disabled = !step(id, -1, 0);
  $("next").disabled = !step(id, 1, 0);
  const ahead = step(id, 1, 0), f = ahead && (ahead.files || [])[0];
  if (f && f.kind === "image") new Image().src = url(f.path);
}

function go(dx, dy) {
  const c = cur && step(cur.id, dx, dy);
  if (c) open(c.id);
}

function showMedia() {
  const files = cur.files || [], f = files[fileAt], media = $("media");
  for (const old of media.querySelectorAll("video,audio")) old.pause();
  const others = f && f.kind === "image" ? pins.filter(p => p.f !== f) : [], all = [...others, { c: cur, f }];
  media.className = others.length > 1 ? "two side many" : others.length ? "two " + mode : "";
  media.style.setProperty("--across", Math.ceil(Math.sqrt(all.length * Math.max(1, media.clientWidth / Math.max(1, media.clientHeight)) / ratio)));
  media.replaceChildren(...(others.length ? all.map(p => pane(p.c, p.f, all)) : [f ? large(f, cur) : blank(cur)]));
  compareTools(others.length);
  $("bbadge").hidden = !(f && f.preview);
  const strip = $("strip");
  strip.hidden = files.length < 2;
  $("stage").classList.toggle("strips", files.length > 1);
  strip.replaceChildren(...(files.length < 2 ? [] : files.map((g, i) => {
    const b = el("button", "", g.kind === "image" ? small(g) : g.kind);
    b.type = "button";
    b.title = fileName(g);
    b.setAttribute("aria-label", "File " + (i + 1) + ": " + fileName(g));
    b.setAttribute("aria-current", i === fileAt);
    b.onclick = () => open(cur.id, i);
    return b;
  })));
  setZoom(1, 0, 0);
}

const fileName = f => f.path.split("/").pop();

function large(f, c) {
  if (f.kind === "image") {
    const img = el("img", f.width && f.width < 128 && f.height < 128 ? "small" : "");
    img.alt = describe(c);
    img.draggable = false;
    img.src = url(f.path);
    img.onerror = () => img.replaceWith(card("", "The picture cannot be shown", f.path));
    return img;
  }
  if (f.kind === "video" || f.kind === "audio") {
    const v = el(f.kind);
    v.controls = true;
    v.loop = f.kind === "video";
    v.preload = "metadata";
    v.src = url(f.path);
    return v;
  }
  if (f.kind === "text") return el("pre", "", f.text || "");
  return card("", fileName(f), f.type + ", " + size(f.bytes) + ". It is not shown here; the link is in the details.");
}

const card = (cls, head, body) => el("div", "card " + cls, el("h2", "", head), el("p", "", body));
const blank = c => card(c.state, stateWords[c.state] || c.state, c.error || "There is no picture of this cell yet.");

