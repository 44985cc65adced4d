// ---- the table: a cell a row, with what it took; the rows are drawn in blocks when they come near
const blockRows = 20, rowHeight = () => sizeOf("--trh");
function tableLines(list) {
  colKeys = [];
  P.face = px || 208;
  P.tw = 80;
  P.sub = 1;
  lines = [];
  for (let i = 0; i < list.length; i += blockRows) lines.push({ key: "", deep: 1, items: list.slice(i, i + blockRows).map((c, k) => ({ c, x: 0, k })) });
}

// columns are what a row shows: heading, what to sort by, text, class.
function columns() {
  const seeded = axes.some(a => a.role === "seed");
  return [
    ["#", "index", c => String(c.index), "num"], ["state", "state", c => stateWords[c.state] || c.state, "state"],
    ...axes.map(a => [a.name, "axis:" + a.name, c => shown(label(c, a.name)), a.role === "prompt" ? "long" : ""]),
    seeded ? null : ["seed", "seed", c => c.seed || "", "num"],
    ["time", "seconds", c => c.seconds ? span(c.seconds) : "", "num"], ["cost", "cost", c => money(c.cost_usd), "num"],
    ["endpoint", "endpoint", c => c.endpoint || "", ""], ["GPU", "gpu", c => c.gpu || "", ""], ["tries", "attempts", c => c.attempts ? String(c.attempts) : "", "num"],
    ["marks", "rating", c => (markOf(c).favourite ? "♥ " : "") + "★".repeat(markOf(c).rating || 0), "gold"],
  ].filter(Boolean);
}

function tableHead() {
  const head = el("div", "row head", th("", null, "pict"), ...columns().map(([name, key, , cls]) => th(name, key, cls)));
  head.setAttribute("role", "row");
  return head;
}

function th(name, key, cls) {
  const h = el("div", "td " + cls);
  h.setAttribute("role", "columnheader");
  if (!key) { h.append(el("span", "vh", "picture")); return h; }
  const now = S.sort === key ? "ascending" : S.sort === "-" + key ? "descending" : "none";
  const b = el("button", "", name, el("span", "dir", { ascending: "▲", descending: "▼", none: "" }[now]));
  b.type = "button";
  h.setAttribute("aria-sort", now);
  b.onclick = () => { S.sort = now === "descending" ? key : now === "ascending" ? "" : "-" + key; $("sort").value = S.sort; change(); };
  h.append(b);
  return h;
}

function tableRow(c) {
  const f = (c.files || [])[0], b = el("button", "pic", el("span", "face", f ? small(f) : note(c)));
  b.type = "button";
  b.dataset.id = c.id;
  if (b.querySelector(".note")) b.prepend(el("span", "vh", describe(c) + " ")); else b.setAttribute("aria-label", (describe(c) || "picture " + c.index) + ", " + c.state);
  const first = el("div", "td pict", b);
  first.setAttribute("role", "gridcell");
  const row = el("div", "row " + c.state, first, ...columns().map(([name, , value, cls]) => {
    const d = el("div", "td " + cls, el("span", "", value(c)));
    d.setAttribute("role", "gridcell");
    if (name === "state" && c.error) d.title = c.error;
    return d;
  }));
  row.setAttribute("role", "row");
  return row;
}

