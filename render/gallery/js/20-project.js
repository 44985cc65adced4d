// ---- projection: filter → page → sort → group into lines
let px = +store("size") || 0; // width of a face in pixels; 0: choose
let lines = [], colKeys = [], places = new Map(), P = {};
// What cells can be sorted by: a number, or a text. S.sort is a name of these, with a - before it for the largest first.
const sortable = {
  index: c => c.index, state: c => c.state, seconds: c => c.seconds || 0, cost: c => c.cost_usd || 0, attempts: c => c.attempts || 0,
  endpoint: c => c.endpoint || "", gpu: c => c.gpu || "", seed: c => (c.seed || "").padStart(20, "0"), size: c => ((c.files || [])[0] || {}).bytes || 0,
  rating: c => (markOf(c).rating || 0) * 2 + (markOf(c).favourite ? 1 : 0),
};
const sortKey = name => sortable[name] || (axisOf.has(name.replace(/^axis:/, "")) ? c => rank(name.replace(/^axis:/, ""), label(c, name.replace(/^axis:/, ""))) : null);
function sorted(list) {
  const down = S.sort.startsWith("-"), key = S.sort && sortKey(S.sort.replace(/^-/, ""));
  if (!key) return list;
  const order = (a, b) => { const x = key(a), y = key(b); return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1) || a.index - b.index; };
  return list.slice().sort(order);
}
const keysOf = (list, axis) => [...new Set(list.map(c => label(c, axis)))].sort((a, b) => rank(axis, a) - rank(axis, b));

function project() {
  const tests = words(S.q).map(test);
  let list = cells.filter(c => fits(c) && tests.every(t => t(c)));
  drawTabs(list);
  if (S.pages) list = list.filter(c => label(c, S.pages) === S.page);
  list = sorted(list);
  const table = S.view === "table", flow = !table && !S.rows && !S.cols;
  const free = axes.filter(a => (a.values || []).length > 1 && ![S.rows, S.cols, S.pages].includes(a.name)).map(a => a.name);
  P = { flow, table, free, list, cap: free.length > 0, gap: sizeOf("--gap"), pad: sizeOf("--pad"), rh: sizeOf("--rh") };
  if (table) tableLines(list); else if (flow) flowLines(list); else gridLines(list);
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
// Sizes that a theme may change are those of the style.
const sizeOf = name => parseInt(getComputedStyle(root).getPropertyValue(name)) || 0;
const gap = () => P.gap, pad = () => P.pad;
const headWidth = () => S.rows || !P.flow ? P.rh : 0;
// pick is the face width that lets all columns of a small sweep be seen at once.
function pick(room, most) {
  const large = innerWidth >= 2400 ? 1.6 : 1; // on 4K
  if (P.flow) return phone() ? Math.floor((room - 12) / 2) : Math.round(208 * large);
  const n = Math.max(1, colKeys.length) * (S.cols ? (most > 4 ? 1.9 : most > 1 ? 1.45 : 1) : 1);
  return Math.round(Math.min((S.cols ? 300 : 200) * large, Math.max(phone() ? 138 : 120, room / n - 2 * pad() - 2)));
}

