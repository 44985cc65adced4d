"use strict";
// The gallery: projects the manifest's cells onto rows, columns and pages, draws the
// lines that are near the screen, and shows one picture large. All text from the
// manifest goes through textContent.
(() => {
const M = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
const root = document.documentElement, view = $("view"), grid = $("grid"), box = $("box");

// el makes an element with a class and children; strings become text nodes.
const el = (tag, cls, ...kids) => {
  const e = document.createElement(tag);
  if (cls) e.className = cls;
  e.append(...kids.filter(k => k != null));
  return e;
};
const text = (id, s) => { $(id).textContent = s; };
const url = path => path.split("/").map(encodeURIComponent).join("/");
const store = (key, value) => {
  try { return value === undefined ? localStorage.getItem("comfyc-" + key) : localStorage.setItem("comfyc-" + key, value); } catch { return null; }
};

// ---- numbers for people
const money = v => v == null ? "" : "$" + (v === 0 ? "0" : v >= 0.1 ? v.toFixed(2) : v.toPrecision(2).includes("e") ? v.toFixed(7) : String(+v.toPrecision(2)));
const span = s => {
  if (s < 60) return (s < 10 ? +s.toFixed(2) : +s.toFixed(1)) + " s";
  const m = Math.floor(s / 60), h = Math.floor(m / 60);
  return h ? h + " h " + (m % 60) + " min" : m + " min " + Math.round(s % 60) + " s";
};
const size = b => b < 1e3 ? b + " B" : b < 1e6 ? (b / 1e3).toFixed(0) + " kB" : b < 1e9 ? (b / 1e6).toFixed(1) + " MB" : (b / 1e9).toFixed(2) + " GB";
const many = (n, one, more) => n.toLocaleString("en") + " " + (n === 1 ? one : more);
const when = t => { const d = new Date(t); return isNaN(d) ? "" : d.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }); };

// ---- the manifest, prepared
const axes = M.axes || [], cells = M.cells || [];
const axisOf = new Map(axes.map(a => [a.name, a]));
const orderOf = new Map(axes.map(a => [a.name, new Map((a.values || []).map((v, i) => [v.label, i]))]));
const label = (c, axis) => { const v = (c.coordinates || {})[axis]; return v == null ? "" : v; };
const rank = (axis, l) => { const i = orderOf.get(axis).get(l); return i === undefined ? 1e9 : i; };
const shown = l => l === "" ? "—" : l;
const allPreview = cells.every(c => (c.files || []).every(f => f.preview));
const anyPreview = cells.some(c => (c.files || []).some(f => f.preview));
const ratio = (() => { // width over height of a face: that of the pictures if they agree
  let lo = Infinity, hi = 0;
  for (const c of cells) for (const f of c.files || []) if (f.width && f.height) { const r = f.width / f.height; lo = Math.min(lo, r); hi = Math.max(hi, r); }
  return hi && hi / lo < 1.02 ? Math.min(2.4, Math.max(.42, lo)) : 1;
})();
const describe = c => axes.filter(a => label(c, a.name) !== "").map(a => a.name + " " + label(c, a.name)).join(", ");
const hay = c => c.hay || (c.hay = [...Object.values(c.coordinates || {}), c.prompt, c.negative, c.seed, c.endpoint, c.gpu, c.worker, c.state, c.error,
  ...(c.params || []).map(p => p.name + "=" + p.value), ...(c.files || []).map(f => f.path)].filter(Boolean).join("\n").toLowerCase());

// ---- favourites and ratings, kept by the browser under the render's id
const marksKey = "marks/" + M.name + "/" + (M.created || "");
const marks = (() => { try { const m = JSON.parse(store(marksKey) || "{}"); return m && typeof m === "object" ? m : {}; } catch { return {}; } })();
const markOf = c => marks[c.render] || {};
function setMark(c, change) {
  const m = { ...markOf(c), ...change };
  if (m.favourite || m.rating) marks[c.render] = m; else delete marks[c.render];
  store(marksKey, JSON.stringify(marks));
  for (const o of cells) if (o.render === c.render) redrawFace(o);
  if (box.open) { showInfo(true); text("live", (m.favourite ? "favourite, " : "") + "rated " + (m.rating || 0)); }
}
const like = c => setMark(c, { favourite: !markOf(c).favourite });
const rate = (c, n) => setMark(c, { rating: markOf(c).rating === n ? 0 : n });
// exportMarks downloads what was marked, with all that names the pictures elsewhere.
function exportMarks() {
  const list = cells.filter(c => marks[c.render]).map(c => ({ cell: c.id, render: c.render, ...markOf(c), coordinates: c.coordinates, seed: c.seed, files: (c.files || []).map(f => f.path) }));
  const a = el("a");
  a.href = URL.createObjectURL(new Blob([JSON.stringify({ name: M.name, plan: M.plan, marks: list }, null, 2) + "\n"], { type: "application/json" }));
  a.download = (M.name || "gallery").replace(/[^\w.-]+/g, "_") + "-marks.json";
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 10000);
}
// states and marks that the list can be narrowed to
const wanted = {
  favourites: c => markOf(c).favourite, "rated-3": c => markOf(c).rating >= 3, "rated-5": c => markOf(c).rating >= 5, unmarked: c => !marks[c.render],
};
const fits = c => !S.state || (wanted[S.state] ? wanted[S.state](c) : c.state === S.state);

// ---- what is looked at; kept in the address so that a link shows the same
const S = { rows: "", cols: "", pages: "", page: "", q: "", state: "", sort: "", open: "" };
const layout = M.gallery || {};
const known = n => axisOf.has(n) ? n : "";
const readHash = () => {
  const h = new URLSearchParams(location.hash.slice(1));
  for (const k of ["rows", "cols", "pages"]) S[k] = known(h.has(k) ? h.get(k) : layout[k]);
  for (const k of ["page", "q", "state", "sort", "open"]) S[k] = h.get(k) || "";
};
const writeHash = () => {
  const h = new URLSearchParams();
  for (const k of ["rows", "cols", "pages"]) if (S[k] !== known(layout[k])) h.set(k, S[k]);
  for (const k of ["page", "q", "state", "sort", "open"]) if (S[k]) h.set(k, S[k]);
  try { history.replaceState(null, "", h.size ? "#" + h : location.pathname + location.search); } catch { /* some browsers refuse on file: */ }
};

// ---- projection: filter → page → sort → group into lines
let px = +store("size") || 0; // width of a face in pixels; 0: choose
let lines = [], colKeys = [], places = new Map(), P = {};
const sorts = {
  "": null,
  seconds: (a, b) => (b.seconds || 0) - (a.seconds || 0),
  cost: (a, b) => (b.cost_usd || 0) - (a.cost_usd || 0),
  attempts: (a, b) => (b.attempts || 0) - (a.attempts || 0),
  rating: (a, b) => (markOf(b).rating || 0) - (markOf(a).rating || 0) || !!markOf(b).favourite - !!markOf(a).favourite,
};
const keysOf = (list, axis) => [...new Set(list.map(c => label(c, axis)))].sort((a, b) => rank(axis, a) - rank(axis, b));

function project() {
  const words = S.q.toLowerCase().split(/\s+/).filter(Boolean);
  let list = cells.filter(c => fits(c) && words.every(w => hay(c).includes(w)));
  drawTabs(list);
  if (S.pages) list = list.filter(c => label(c, S.pages) === S.page);
  if (sorts[S.sort]) list = list.slice().sort(sorts[S.sort]);
  const flow = !S.rows && !S.cols;
  const free = axes.filter(a => (a.values || []).length > 1 && ![S.rows, S.cols, S.pages].includes(a.name)).map(a => a.name);
  P = { flow, free, list, cap: free.length > 0 };
  if (flow) flowLines(list); else gridLines(list);
  places = new Map();
  lines.forEach((l, y) => l.items.forEach((it, i) => places.set(it.c.id, { y, i })));
}

function gridLines(list) {
  colKeys = S.cols ? keysOf(list, S.cols) : [""];
  const at = new Map(colKeys.map((k, i) => [k, i]));
  const rows = new Map((S.rows ? keysOf(list, S.rows) : [""]).map(k => [k, colKeys.map(() => [])]));
  for (const c of list) rows.get(S.rows ? label(c, S.rows) : "")[S.cols ? at.get(label(c, S.cols)) : 0].push(c);
  let most = 1;
  for (const r of rows.values()) for (const g of r) most = Math.max(most, g.length);
  // Several pictures in a cell stand side by side; without columns they fill the width.
  const wide = !S.cols || !list.length;
  const room = view.clientWidth - headWidth() - 40;
  P.face = px || pick(room, most);
  P.tw = wide ? P.face : most > 1 ? Math.max(64, Math.round(P.face * (most > 4 ? .62 : .72))) : P.face;
  P.sub = wide ? Math.max(1, Math.min(most, Math.floor(room / (P.tw + gap())))) : most <= 1 ? 1 : most <= 4 ? 2 : most <= 9 ? 3 : 4;
  if (wide && P.sub < most) P.tw = Math.floor((room + gap()) / P.sub) - gap();
  P.cap = most > 1;
  lines = [...rows].map(([key, groups]) => ({
    key, groups, deep: Math.max(1, ...groups.map(g => Math.ceil(g.length / P.sub))),
    items: groups.flatMap((g, x) => g.map((c, k) => ({ c, x, k }))),
  }));
}

function flowLines(list) {
  colKeys = [];
  const room = view.clientWidth - (phone() ? 24 : 48);
  P.face = P.tw = Math.min(px || pick(room, 1), room);
  P.sub = Math.max(1, Math.floor((room + 12) / (P.tw + 12)));
  P.tw = Math.floor((room + 12) / P.sub) - 12;
  P.cap = true;
  lines = [];
  for (let i = 0; i < list.length; i += P.sub) {
    lines.push({ key: "", deep: 1, items: list.slice(i, i + P.sub).map((c, x) => ({ c, x, k: 0 })) });
  }
}

const phone = () => innerWidth <= 760;
const gap = () => phone() ? 4 : 6;
const pad = () => phone() ? 4 : 8;
const headWidth = () => S.rows || !P.flow ? (phone() ? 84 : 168) : 0;
// pick is the face width that lets all columns of a small sweep be seen at once.
function pick(room, most) {
  if (P.flow) return phone() ? Math.floor((room - 12) / 2) : 208;
  const n = Math.max(1, colKeys.length) * (S.cols ? (most > 4 ? 1.9 : most > 1 ? 1.45 : 1) : 1);
  return Math.round(Math.min(S.cols ? 300 : 200, Math.max(phone() ? 138 : 120, room / n - 2 * pad() - 2)));
}

// ---- drawing: line boxes have their exact height at once, their content when near
let near;
function draw() {
  project();
  const th = Math.round(P.tw / ratio), cap = P.cap ? (P.flow ? 22 : 20) : 0;
  const cw = P.sub * P.tw + (P.sub - 1) * gap() + 2 * pad();
  for (const [k, v] of [["--tw", P.tw], ["--th", th], ["--cw", cw], ["--st", S.cols ? 64 : 12], ["--lw", headWidth() + cw * Math.max(1, colKeys.length)]]) grid.style.setProperty(k, v + "px");
  $("size").value = P.face;
  grid.className = P.flow ? "flow" : "";
  grid.setAttribute("aria-rowcount", lines.length + (colKeys.length && S.cols ? 1 : 0));
  grid.setAttribute("aria-label", (layout.title || M.name) + (S.page ? ", " + S.pages + " " + S.page : ""));
  if (near) near.disconnect();
  const all = P.list.length <= 400;
  near = new IntersectionObserver(seen => {
    for (const e of seen) {
      if (e.isIntersecting) fill(e.target);
      else if (!all && !e.target.contains(document.activeElement)) empty(e.target);
    }
  }, { root: view, rootMargin: "900px 0px" });
  const kids = [];
  if (!P.flow && S.cols) kids.push(headLine());
  lines.forEach((l, y) => {
    const e = el("div", "row line");
    e.setAttribute("role", "row");
    e.y = y;
    l.el = e;
    const high = P.flow ? th + cap + 14 : l.deep * (th + cap) + (l.deep - 1) * gap() + 2 * pad();
    e.style.height = high + "px";
    e.style.containIntrinsicHeight = high + "px";
    kids.push(e);
  });
  grid.replaceChildren(...kids);
  lines.forEach(l => { if (all) fill(l.el); near.observe(l.el); });
  $("none").hidden = P.list.length > 0;
  text("live", many(P.list.length, "picture", "pictures") + " shown");
}

function headLine() {
  const corner = el("div", "corner", el("span", "", S.cols + " →"), S.rows ? el("span", "", S.rows + " ↓") : null, P.free.length ? el("span", "", "in a cell: " + P.free.join(" · ")) : null);
  corner.setAttribute("role", "columnheader");
  const head = el("div", "row head", corner, ...colKeys.map(k => heading("colh", "columnheader", S.cols, k)));
  head.setAttribute("role", "row");
  return head;
}

function heading(cls, role, axis, key) {
  const h = el("div", cls, el("span", "clamp", shown(key)));
  h.setAttribute("role", role);
  h.title = axis ? axis + ": " + shown(key) : "";
  return h;
}

function fill(e) {
  if (e.full) return;
  e.full = true;
  const l = lines[e.y];
  if (P.flow) {
    e.append(...l.items.map(it => cellBox([it.c])));
    return;
  }
  e.append(heading(l.deep > 1 ? "rowh tall" : "rowh", "rowheader", S.rows, S.rows ? l.key : "all"), ...l.groups.map(cellBox));
}

function empty(e) {
  e.full = false;
  e.replaceChildren();
}

function cellBox(group) {
  const b = el("div", group.length ? "cell" : "cell gap", ...group.map(face));
  b.setAttribute("role", "gridcell");
  if (!group.length) b.title = "not in this sweep";
  return b;
}

// face is the small form of one cell.
function face(c) {
  const files = c.files || [], f = files[0];
  const b = el("button", "pic"), inner = el("span", "face");
  b.type = "button";
  b.dataset.id = c.id;
  const name = (describe(c) || "picture " + c.index) + ", " + c.state + (markOf(c).favourite ? ", favourite" : "") + (markOf(c).rating ? ", rated " + markOf(c).rating : "");
  inner.append(f ? small(f) : note(c));
  if (files.length > 1) inner.append(el("span", "tag", "+" + (files.length - 1)));
  if (f && f.preview && !allPreview) inner.append(el("span", "tag left", "PREVIEW"));
  const facts = [c.seconds ? span(c.seconds) : "", money(c.cost_usd)].filter(Boolean).join(" · ");
  const m = markOf(c), sign = (m.favourite ? "♥" : "") + (m.rating ? m.rating + "★" : "");
  if (sign) inner.append(el("span", "tag mark", sign));
  if (f && facts) inner.append(el("span", "tag foot", facts));
  b.append(inner);
  if (P.cap) {
    const names = P.free.length ? P.free : axes.map(a => a.name);
    const has = names.filter(n => label(c, n) !== "");
    b.title = has.map(n => n + ": " + label(c, n)).join("\n");
    b.append(el("span", "cap", (has.length === 1 && label(c, has[0]).length < 12 ? has[0] + " " : "") + has.map(n => label(c, n)).join(" · ") || "#" + c.index));
  }
  // What is seen is part of the name, for those who speak to the page.
  const cap = (b.querySelector(".cap") || {}).textContent || "";
  if (b.querySelector(".note")) b.prepend(el("span", "vh", name + " "));
  else b.setAttribute("aria-label", name.includes(cap) ? name : name + ", " + cap);
  return b;
}

function redrawFace(c) {
  const b = grid.querySelector('[data-id="' + CSS.escape(c.id) + '"]');
  if (b) b.replaceWith(face(c));
}

function small(f) {
  if (f.kind === "image") {
    const img = el("img");
    img.loading = "lazy";
    img.decoding = "async";
    img.alt = "";
    img.src = url(f.thumb || f.path);
    img.onerror = () => img.replaceWith(tile("✕", "The file is not there"));
    return img;
  }
  if (f.kind === "text") return el("span", "note text", el("span", "clamp", f.text || f.path));
  if (f.kind === "video") return tile("▶", "Video");
  if (f.kind === "audio") return tile("♪", "Audio");
  return tile("◇", f.type);
}

const tile = (sign, words) => el("span", "note", el("span", "big", sign), el("span", "clamp", words));
const stateWords = { done: "Done", failed: "Failed", held: "Held", waiting: "Waiting", active: "Rendering", cancelled: "Cancelled" };
const note = c => el("span", "note " + c.state, el("b", "", stateWords[c.state] || c.state), c.error ? el("span", "clamp", c.error) : null);

// ---- controls
function drawTabs(list) {
  const nav = $("tabs");
  nav.hidden = !S.pages;
  if (!S.pages) { S.page = ""; return; }
  const count = new Map();
  for (const c of list) count.set(label(c, S.pages), (count.get(label(c, S.pages)) || 0) + 1);
  const keys = keysOf(cells, S.pages);
  if (!keys.includes(S.page)) S.page = keys[0] || "";
  nav.replaceChildren(...keys.map(k => {
    const b = el("button", "", shown(k), el("small", "", String(count.get(k) || 0)));
    b.type = "button";
    b.title = S.pages + ": " + shown(k);
    b.setAttribute("aria-current", k === S.page);
    b.onclick = () => { S.page = k; change(); };
    return b;
  }));
}

function change() {
  writeHash();
  draw();
}

function options(select, list, value) {
  select.replaceChildren(...list.map(([v, s]) => { const o = el("option", "", s); o.value = v; return o; }));
  select.value = value;
}

function controls() {
  const names = [["", "none"], ...axes.map(a => [a.name, a.name + " (" + (a.values || []).length + ")"])];
  const sides = ["rows", "cols", "pages"];
  const set = () => sides.forEach(k => options($(k), names, S[k]));
  set();
  for (const k of sides) $(k).onchange = e => {
    const other = sides.find(o => o !== k && S[o] === e.target.value && e.target.value);
    if (other) S[other] = S[k]; // an axis is on one side only: they change places
    S[k] = e.target.value;
    set();
    change();
    view.scrollTo(0, 0);
  };
  const states = [...new Set(cells.map(c => c.state))];
  options($("state"), [["", "All states"], ...states.map(s => [s, stateWords[s] || s]), ["favourites", "♥ Favourites"], ["rated-3", "★ 3 and more"], ["rated-5", "★ 5"], ["unmarked", "Not marked"]], S.state);
  options($("sort"), [["", "of the sweep"], ["seconds", "slowest first"], ["cost", "dearest first"], ["attempts", "most attempts"], ["rating", "best rated"]], S.sort);
  $("state").onchange = e => { S.state = e.target.value; change(); };
  $("sort").onchange = e => { S.sort = e.target.value; change(); };
  $("q").value = S.q;
  let wait;
  $("q").oninput = e => { clearTimeout(wait); wait = setTimeout(() => { S.q = e.target.value; change(); }, 120); };
  $("size").oninput = e => { px = +e.target.value; store("size", px); cancelAnimationFrame(wait); wait = requestAnimationFrame(draw); };
  $("marks").onclick = exportMarks;
  $("print").onclick = () => print();
  $("bar").onsubmit = e => e.preventDefault();
  $("opts").onclick = () => $("opts").setAttribute("aria-expanded", $("bar").classList.toggle("open"));
  const themes = { "": "Auto", light: "Light", dark: "Dark" };
  const theme = t => { if (t) root.dataset.theme = t; else delete root.dataset.theme; text("theme", themes[t]); $("theme").setAttribute("aria-label", "Colour theme: " + themes[t]); store("theme", t); };
  theme(themes[store("theme")] ? store("theme") : "");
  $("theme").onclick = () => theme({ "": "light", light: "dark", dark: "" }[root.dataset.theme || ""]);
}

function header() {
  const t = M.totals || {};
  const endpoints = new Map();
  for (const c of cells) if (c.endpoint) endpoints.set(c.endpoint, c.gpu || "");
  text("sub", [M.name !== layout.title ? M.name : "", when(M.updated || M.created), axes.map(a => (a.values || []).length + " " + a.name).join(" × ")].filter(Boolean).join("  ·  "));
  $("badge").hidden = !anyPreview;
  const stat = (name, value, cls) => value && $("stats").append(el("div", cls || "", el("dt", "", name), el("dd", "", value)));
  stat(t.done === t.renders ? "pictures" : "of " + t.renders + " done", String(t.done === t.renders ? t.renders : t.done));
  stat("failed", t.failed && String(t.failed), "bad");
  stat("held", t.held && String(t.held), "warn");
  stat("cancelled", t.cancelled && String(t.cancelled), "warn");
  stat("waiting", (t.waiting || 0) + (t.active || 0) ? String((t.waiting || 0) + (t.active || 0)) : "");
  stat("render time", t.seconds ? span(t.seconds) : "");
  stat(t.unpriced ? "cost, " + t.unpriced + " unpriced" : "cost (estimate)", money(t.cost_usd));
  const names = [...endpoints].map(([n, g]) => g && !n.includes(g) ? n + " (" + g + ")" : n);
  stat(names.length > 1 ? "endpoints" : "endpoint", names.length > 3 ? names.length + " endpoints" : names.join(", "));
  if (!t.renders || t.done === t.renders) return;
  const meter = $("meter");
  meter.hidden = false;
  meter.setAttribute("aria-label", t.done + " of " + t.renders + " done");
  for (const s of ["done", "active", "held", "failed", "cancelled"]) {
    const bar = el("i", s);
    bar.style.width = 100 * (t[s] || 0) / t.renders + "%";
    meter.append(bar);
  }
}

// ---- moving between cells, in the grid and in the lightbox
// step finds the cell that lies dx to the side or dy below the one named.
function step(id, dx, dy) {
  const at = places.get(id);
  if (!at) return null;
  const item = lines[at.y].items[at.i];
  if (dx) {
    let y = at.y, i = at.i + dx;
    while (lines[y] && !lines[y].items[i]) { y += dx; i = dx > 0 ? 0 : lines[y] ? lines[y].items.length - 1 : 0; }
    return lines[y] ? lines[y].items[i].c : null;
  }
  for (let y = at.y + dy; lines[y]; y += dy) {
    const far = it => Math.abs(it.x - item.x) * 1000 + Math.abs(it.k - item.k);
    const best = lines[y].items.reduce((a, b) => !a || far(b) < far(a) ? b : a, null);
    if (best) return best.c;
  }
  return null;
}

function focusCell(id) {
  const at = places.get(id);
  if (!at) return;
  fill(lines[at.y].el);
  const b = grid.querySelector('[data-id="' + CSS.escape(id) + '"]');
  if (b) { b.focus({ preventScroll: true }); b.scrollIntoView({ block: "nearest", inline: "nearest" }); }
}

const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
grid.addEventListener("click", e => { const b = e.target.closest(".pic"); if (b) open(b.dataset.id); });
grid.addEventListener("keydown", e => {
  const b = e.target.closest(".pic"), a = arrows[e.key];
  if (!b || !a || e.ctrlKey || e.metaKey || e.altKey) return;
  e.preventDefault();
  const c = step(b.dataset.id, ...a);
  if (c) focusCell(c.id);
});

// ---- lightbox
let cur = null, fileAt = 0, zoom = 1, panX = 0, panY = 0;
let pin = null, split = 50; // what the current picture is compared with: {c, f}
const modes = { side: "Side by side", slider: "Slider", diff: "Difference" };
let mode = modes[store("compare")] ? store("compare") : "side";
const byId = new Map(cells.map(c => [c.id, c]));

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
  const two = pin && f && f.kind === "image" && f !== pin.f;
  media.className = two ? "two " + mode : "";
  media.replaceChildren(...(two ? [pane(pin.c, pin.f), pane(cur, f)] : [f ? large(f, cur) : blank(cur)]));
  compareTools(two);
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

// ---- compare: the pinned picture with the current one, in one of three ways
const pane = (c, f) => el("div", "pane", large(f, c), el("span", "tag left", differs(c)));
// differs names what sets a compared picture apart from the other one.
function differs(c) {
  const other = c === pin.c ? cur : pin.c;
  return axes.filter(a => label(c, a.name) !== label(other, a.name)).map(a => a.name + " " + shown(label(c, a.name))).join(", ") || describe(c);
}
function setPin() {
  const f = cur && (cur.files || [])[fileAt];
  pin = pin || !f || f.kind !== "image" ? null : { c: cur, f };
  text("live", pin ? "Pinned. Move to another picture to compare." : "Not pinned any more.");
  showMedia();
}
function compareTools(two) {
  $("pin").setAttribute("aria-pressed", !!pin);
  $("mode").hidden = !two;
  $("mode").value = mode;
  $("split").hidden = !two || mode !== "slider";
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
  const p = $("media").querySelectorAll(".pane")[1];
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

// ---- details
function copyButton(what, value) {
  const b = el("button", "btn", "Copy");
  b.type = "button";
  b.setAttribute("aria-label", "Copy " + what);
  b.onclick = async () => {
    const ok = await copy(value);
    b.textContent = ok ? "Copied" : "Not allowed";
    setTimeout(() => { b.textContent = "Copy"; }, 1400);
  };
  return b;
}

// copy works from file: too, where the clipboard interface may be missing.
async function copy(value) {
  try { await navigator.clipboard.writeText(value); return true; } catch { /* the old way */ }
  const t = el("textarea", "vh");
  t.value = value;
  box.append(t);
  t.select();
  const ok = document.execCommand("copy");
  t.remove();
  return ok;
}

function part(title, button, ...kids) {
  return el("section", "", el("h3", "", el("span", "", title), button), ...kids);
}

function table(rows) {
  return el("table", "", el("tbody", "", ...rows.filter(r => r[1] != null && r[1] !== "").map(r => {
    const th = el("th", "", r[0]);
    th.scope = "row";
    return el("tr", "", th, el("td", r[2] || "", String(r[1])));
  })));
}

function link(words, path, cls) {
  const a = el("a", cls || "btn", words);
  a.href = url(path);
  a.target = "_blank";
  a.rel = "noopener noreferrer";
  return a;
}

// press is a button that is on or off.
function press(words, name, on, act) {
  const b = el("button", "btn", words);
  b.type = "button";
  b.dataset.mark = name;
  b.setAttribute("aria-label", name);
  b.setAttribute("aria-pressed", on);
  b.onclick = () => { act(); const again = $("info").querySelector('[data-mark="' + name + '"]'); if (again) again.focus(); };
  return b;
}
function markBar(c) {
  const m = markOf(c);
  const bar = el("div", "marks", press(m.favourite ? "♥" : "♡", "Favourite", !!m.favourite, () => like(c)),
    ...[1, 2, 3, 4, 5].map(n => press(n <= (m.rating || 0) ? "★" : "☆", "Rate " + n, n === (m.rating || 0), () => rate(c, n))));
  bar.setAttribute("role", "group");
  bar.setAttribute("aria-label", "Favourite and rating");
  return bar;
}

// command renders this cell alone, where each of its axes drives inputs by address.
const quote = s => /^[\w.,:/@%+=-]+$/.test(s) ? s : "'" + s.replace(/'/g, "'\\''") + "'";
function command(c) {
  if (!M.command) return "";
  const sets = [];
  for (const a of axes) {
    const l = label(c, a.name);
    if (l === "") continue;
    if (!(a.addresses || []).length) return "";
    const v = a.values[rank(a.name, l)] || {};
    for (const at of a.addresses) sets.push("--set " + quote(at + "=" + (v.value === undefined ? l : v.value)));
  }
  return [M.command, ...sets].join(" ");
}

function showInfo(still) {
  const c = cur, f = (c.files || [])[fileAt], info = $("info");
  const settings = [["seed", c.seed], ...(c.params || []).map(p => [p.name, p.value])].filter(p => p[1] != null && p[1] !== "");
  const chips = axes.filter(a => label(c, a.name) !== "").map(a => {
    const s = label(c, a.name), chip = el("span", "chip", el("small", "", a.name), s.length > 60 ? s.slice(0, 58) + "…" : s);
    chip.title = s;
    return chip;
  });
  const kids = [el("div", "chips", ...chips), markBar(c)];
  if (c.state !== "done" || c.error) kids.push(part(stateWords[c.state] || c.state, null, el("p", c.state === "held" ? "held" : "err", c.error || "")));
  if (c.missing && c.missing.length) kids.push(part("Missing outputs", null, el("p", "err", c.missing.join("\n"))));
  if (c.prompt) kids.push(part("Prompt", copyButton("prompt", c.prompt), el("p", "", c.prompt)));
  if (c.negative) kids.push(part("Negative prompt", copyButton("negative prompt", c.negative), el("p", "", c.negative)));
  if (settings.length) kids.push(part("Settings", copyButton("settings", settings.map(p => p[0] + ": " + p[1]).join("\n")), table(settings)));
  const where = [["endpoint", c.endpoint], ["GPU", c.gpu], ["worker", c.worker], ["time", c.seconds ? span(c.seconds) : ""], ["cost", c.cost_usd == null ? "" : money(c.cost_usd) + " (estimate)"], ["attempts", c.attempts > 1 ? c.attempts : ""]];
  if (where.some(r => r[1])) kids.push(part("Rendered", null, table(where)));
  const cmd = command(c);
  if (cmd) kids.push(part("Command line", copyButton("command line", cmd), el("p", "cmd", cmd)));
  if (f) kids.push(filePart(c, f));
  else if (c.workflow) kids.push(part("Files", null, el("div", "links", link("Workflow", c.workflow))));
  kids.push(el("p", "keys", el("kbd", "", "←"), " ", el("kbd", "", "↑"), " ", el("kbd", "", "↓"), " ", el("kbd", "", "→"), " move  ", el("kbd", "", "+"), " ", el("kbd", "", "−"), " ", el("kbd", "", "0"), " zoom  ",
    el("kbd", "", "["), " ", el("kbd", "", "]"), " files  ", el("kbd", "", "i"), " details  ", el("kbd", "", "p"), " pin  ", el("kbd", "", "m"), " compare  ", el("kbd", "", "f"), " ", el("kbd", "", "1"), "–", el("kbd", "", "5"), " marks  ", el("kbd", "", "Esc"), " back"));
  info.replaceChildren(...kids);
  if (!still) info.scrollTop = 0;
}

function filePart(c, f) {
  const links = el("div", "links", link(f.kind === "image" ? "Open picture" : "Open file", f.path));
  if (f.kind === "other") links.firstChild.download = fileName(f);
  if (f.original) links.append(link("As rendered", f.original));
  if (c.workflow) links.append(link("Workflow", c.workflow));
  const carries = (f.metadata || []).filter(k => k !== "comfyc");
  const hint = carries.length ? el("p", "hint", "Drop " + (f.original ? "the file as rendered" : "the file") + " on ComfyUI to get its graph back (it carries " + carries.join(" and ") + ").") : null;
  return part("File", copyButton("path", f.path), table([["name", f.path], ["variant", f.variant], ["node", [f.node, f.title].filter(Boolean).join(" · ")],
    ["size", [f.width ? f.width + " × " + f.height : "", size(f.bytes)].filter(Boolean).join(", ")], ["type", f.type], ["SHA-256", f.sha256, "mono"], ["note", f.note]]), links, hint);
}

// ---- lightbox input
const keys = {
  p: setPin, f: () => like(cur), m: () => pin && setMode({ side: "slider", slider: "diff", diff: "side" }[mode]),
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
  cur = pin = null;
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
options($("mode"), Object.entries(modes), mode);
$("mode").onchange = e => setMode(e.target.value);
$("split").oninput = e => setSplit(+e.target.value);

const stage = $("stage");
const fromMiddle = e => { const r = stage.getBoundingClientRect(); return [e.clientX - r.left - r.width / 2, e.clientY - r.top - r.height / 2]; };
const onMedia = e => e.target.closest("#media") && !e.target.closest("video,audio,pre");
stage.addEventListener("wheel", e => { if (!e.target.closest("pre,.strip")) { e.preventDefault(); zoomBy(Math.exp(-e.deltaY / 400), ...fromMiddle(e)); } }, { passive: false });
stage.addEventListener("dblclick", e => { if (onMedia(e)) oneToOne(); });
let drag = null;
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

// ---- start
readHash();
if (store("info") === "off") details();
header();
controls();
draw();
if (S.open) open(S.open);
let lastWidth = view.clientWidth;
new ResizeObserver(() => { if (view.clientWidth !== lastWidth) { lastWidth = view.clientWidth; draw(); } }).observe(view);
addEventListener("hashchange", () => { readHash(); for (const k of ["rows", "cols", "pages", "state", "sort", "q"]) $(k).value = S[k]; draw(); if (S.open) open(S.open); else if (box.open) box.close(); });
addEventListener("beforeprint", () => lines.forEach(l => fill(l.el)));
})();
