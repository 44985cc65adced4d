// ---- what is looked at; kept in the address so that a link shows the same
const S = { rows: "", cols: "", pages: "", page: "", q: "", state: "", sort: "", view: "", open: "" };
const layout = M.gallery || {};
const known = n => axisOf.has(n) ? n : "";
const readHash = () => {
  const h = new URLSearchParams(location.hash.slice(1));
  for (const k of ["rows", "cols", "pages"]) S[k] = known(h.has(k) ? h.get(k) : layout[k]);
  for (const k of ["page", "q", "state", "sort", "view", "open"]) S[k] = h.get(k) || "";
};
const writeHash = () => {
  const h = new URLSearchParams();
  for (const k of ["rows", "cols", "pages"]) if (S[k] !== known(layout[k])) h.set(k, S[k]);
  for (const k of ["page", "q", "state", "sort", "view", "open"]) if (S[k]) h.set(k, S[k]);
  try { history.replaceState(null, "", h.size ? "#" + h : location.pathname + location.search); } catch { /* some browsers refuse on file: */ }
};

