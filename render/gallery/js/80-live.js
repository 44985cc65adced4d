// ---- live: the page of a running batch follows its manifest. Over HTTP it asks for the manifest again and again, which costs nothing while
// the server answers "not modified"; from disk, where a page may not read its neighbours, it loads itself anew.
const liveMeta = document.querySelector('meta[name="comfyc-live"]');
const pollMs = liveMeta ? Math.max(1000, 1000 * (+liveMeta.content || 2)) : 0;
const running = () => !!M.running;
function liveBadge() {
  $("livebadge").hidden = !(pollMs && running());
}
const mark = c => [c.state, c.error, c.seconds, c.cost_usd, c.attempts, ...(c.files || []).map(f => f.path + f.sha256)].join("|");
// update takes a newer manifest and redraws what has changed of it.
function update(m) {
  const before = new Map(cells.map(c => [c.id, mark(c)])), shape = JSON.stringify(axes), was = ratio;
  const seen = cur && cur.id, file = fileAt;
  take(m);
  header();
  liveBadge();
  const changed = cells.filter(c => before.get(c.id) !== mark(c));
  const plain = shape === JSON.stringify(axes) && was === ratio && before.size === cells.length && !S.q && !S.state && !S.sort;
  if (plain) {
    for (const l of lines) for (const it of l.items) it.c = byId.get(it.c.id);
    for (const l of lines) if (l.groups) l.groups = l.groups.map(g => g.map(c => byId.get(c.id)));
    P.list = P.list.map(c => byId.get(c.id));
    for (const c of changed) redrawFace(c);
  } else {
    if (shape !== JSON.stringify(axes)) controls();
    draw();
  }
  if (changed.length) text("live", (M.totals || {}).done + " of " + (M.totals || {}).renders + " done");
  if (seen && byId.has(seen)) {
    const again = changed.some(c => c.id === seen);
    cur = byId.get(seen);
    if (again) { fileAt = Math.min(file, Math.max(0, (cur.files || []).length - 1)); showMedia(); showInfo(true); }
  }
}
async function poll() {
  let wait = pollMs;
  try {
    const start = performance.now(), r = await fetch("manifest.json", { cache: "no-cache", credentials: "same-origin" });
    if (r.ok) {
      const m = await r.json();
      if (m.updated !== M.updated || m.running !== M.running || JSON.stringify(m.totals) !== JSON.stringify(M.totals)) update(m);
      wait = Math.max(wait, 10 * (performance.now() - start)); // a large batch is asked for less often
    }
  } catch { wait = 5 * pollMs; /* the server is gone, or not there yet */ }
  if (running()) setTimeout(poll, document.hidden ? 5 * wait : wait);
}
function follow() {
  liveBadge();
  if (!pollMs || !running()) return;
  if (location.protocol !== "file:") { setTimeout(poll, pollMs); return; }
  setInterval(() => { if (!document.hidden && !box.open && !/^(INPUT|SELECT)$/.test((document.activeElement || {}).tagName)) { store("scroll/" + M.name, view.scrollTop); location.reload(); } }, 3 * pollMs);
  const at = store("scroll/" + M.name);
  if (at) view.scrollTop = +at;
}

