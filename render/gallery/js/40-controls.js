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
  const views = [["", "Grid"], ["table", "Table"]];
  options($("view-as"), views, S.view);
  $("view-as").onchange = e => { S.view = e.target.value; change(); view.scrollTo(0, 0); };
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
  options($("sort"), [["", "of the sweep"], ["-seconds", "slowest first"], ["seconds", "fastest first"], ["-cost", "dearest first"], ["-attempts", "most attempts"], ["-rating", "best rated"],
    ...axes.filter(a => (a.values || []).length > 1).map(a => ["axis:" + a.name, "by " + a.name])], S.sort);
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
  $("stats").replaceChildren();
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
  const meter = $("meter");
  meter.replaceChildren();
  meter.hidden = !t.renders || t.done === t.renders;
  meter.setAttribute("aria-label", t.done + " of " + t.renders + " done");
  for (const s of ["done", "active", "held", "failed", "cancelled"]) {
    const bar = el("i", s);
    bar.style.width = 100 * (t[s] || 0) / t.renders + "%";
    meter.append(bar);
  }
}

