// ---- drawing: line boxes have their exact height at once, their content when near
let near;
function draw() {
  project();
  const th = Math.round(P.tw / ratio), cap = P.cap ? (P.flow ? 22 : 20) : 0;
  const cw = P.sub * P.tw + (P.sub - 1) * gap() + 2 * pad();
  for (const [k, v] of [["--tw", P.tw], ["--th", th], ["--cw", cw], ["--st", S.cols ? 64 : 12], ["--lw", headWidth() + cw * Math.max(1, colKeys.length)]]) grid.style.setProperty(k, v + "px");
  $("size").value = P.face;
  grid.className = P.table ? "table" : P.flow ? "flow" : "";
  grid.setAttribute("aria-rowcount", P.table ? P.list.length + 1 : lines.length + (colKeys.length && S.cols ? 1 : 0));
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
  if (P.table) kids.push(tableHead()); else if (!P.flow && S.cols) kids.push(headLine());
  lines.forEach((l, y) => {
    const e = el("div", P.table ? "line" : "row line");
    e.setAttribute("role", P.table ? "rowgroup" : "row");
    e.y = y;
    l.el = e;
    const high = P.table ? l.items.length * rowHeight() : P.flow ? th + cap + 14 : l.deep * (th + cap) + (l.deep - 1) * gap() + 2 * pad();
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
  if (P.table) {
    e.append(...l.items.map(it => tableRow(it.c)));
    return;
  }
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
  if (b) (P.table ? b.closest(".row") : b).replaceWith(P.table ? tableRow(c) : face(c));
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

