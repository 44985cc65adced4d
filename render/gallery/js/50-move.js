// ---- moving between cells, in the grid and in the lightbox
// step finds the cell that lies dx to the side or dy below the one named.
function step(id, dx, dy) {
  const at = places.get(id);
  if (!at) return null;
  const item = lines[at.y].items[at.i];
  if (P.table) { // one list, whatever its blocks
    const n = at.y * blockRows + at.i + dx + dy, l = lines[Math.floor(n / blockRows)];
    return n >= 0 && l && l.items[n % blockRows] ? l.items[n % blockRows].c : null;
  }
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

