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
  download((M.name || "gallery").replace(/[^\w.-]+/g, "_") + "-marks.json", "application/json", JSON.stringify({ name: M.name, plan: M.plan, marks: list }, null, 2) + "\n");
}
// states and marks that the list can be narrowed to
const wanted = {
  favourites: c => markOf(c).favourite, "rated-3": c => markOf(c).rating >= 3, "rated-5": c => markOf(c).rating >= 5, unmarked: c => !marks[c.render],
};
const fits = c => !S.state || (wanted[S.state] ? wanted[S.state](c) : c.state === S.state);

