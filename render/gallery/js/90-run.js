// ---- start
readHash();
if (store("info") === "off") details();
header();
controls();
draw();
if (S.open) open(S.open);
follow();
let lastWidth = view.clientWidth;
new ResizeObserver(() => { if (view.clientWidth !== lastWidth) { lastWidth = view.clientWidth; draw(); } }).observe(view);
addEventListener("hashchange", () => { readHash(); for (const k of ["rows", "cols", "pages", "state", "sort", "q"]) $(k).value = S[k]; $("view-as").value = S.view; draw(); if (S.open) open(S.open); else if (box.open) box.close(); });
addEventListener("beforeprint", () => lines.forEach(l => fill(l.el)));
})();
