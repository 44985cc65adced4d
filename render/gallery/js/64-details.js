// ---- details
function copyButton(what, value) {
  const b = el("button", "btn", "Copy");
  b.type = "button";
  b.setAttribute("aria-label", "Copy " + what);
  b.onclick = async () => {
    const ok = await copy(value), words = b.textContent;
    b.textContent = ok ? "Copied" : "Not allowed";
    setTimeout(() => { b.textContent = words; }, 1400);
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

// graphOf is the cell's graph in API form, from the graphs that cells share and its own values.
function graphOf(c) {
  const g = (M.graphs || [])[c.graph || 0];
  if (!g || c.graph === -1) return "";
  // Values are put in as JSON text: a number of JavaScript would lose digits of a seed.
  const own = new Map();
  for (const a of axes) for (const at of a.addresses || []) {
    const v = a.values[rank(a.name, label(c, a.name))], dot = at.lastIndexOf(".");
    if (v) own.set(at.slice(0, dot) + "\n" + at.slice(dot + 1), v.json || JSON.stringify(v.value === undefined ? v.label : v.value));
  }
  for (const p of c.set || []) own.set(p.node + "\n" + p.input, p.json);
  let at = 0;
  const lines = [];
  for (const n of g) {
    const inputs = n.inputs.map(([name, value]) => "      " + JSON.stringify(name) + ": " + (own.has(n.id + "\n" + name) ? own.get(n.id + "\n" + name) : value));
    lines.push("  " + JSON.stringify(n.id) + ": {\n    \"class_type\": " + JSON.stringify(n.class) + ",\n    \"inputs\": {" + (inputs.length ? "\n" + inputs.join(",\n") + "\n    " : "") + "}" +
      (n.title ? ",\n    \"_meta\": {\"title\": " + JSON.stringify(n.title) + "}" : "") + "\n  }");
    at++;
  }
  return at ? "{\n" + lines.join(",\n") + "\n}\n" : "";
}
function download(name, type, body) {
  const a = el("a");
  a.href = URL.createObjectURL(new Blob([body], { type }));
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 10000);
}
function workflowLinks(c) {
  if (c.workflow) return [link("Workflow", c.workflow)];
  const body = graphOf(c);
  if (!body) return [];
  const b = el("button", "btn", "Workflow"), name = ((M.name || "workflow") + "-" + c.index).replace(/[^\w.-]+/g, "_") + ".json";
  b.type = "button";
  b.title = "Download this picture's graph; drop it on ComfyUI";
  b.onclick = () => download(name, "application/json", body);
  const copy = copyButton("workflow", body);
  copy.textContent = "Copy workflow";
  return [b, copy];
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

// narrow filters to one value of an axis, in addition to what is asked for.
function narrow(axis, value) {
  const w = axis + "=" + (/\s/.test(value) ? '"' + value + '"' : value);
  if (!words(S.q).includes((axis + "=" + value).toLowerCase())) S.q = (S.q + " " + w).trim();
  $("q").value = S.q;
  box.close();
  change();
}

function showInfo(still) {
  const c = cur, f = (c.files || [])[fileAt], info = $("info");
  const settings = [["seed", c.seed], ...(c.params || []).map(p => [p.name, p.value])].filter(p => p[1] != null && p[1] !== "");
  const chips = axes.filter(a => label(c, a.name) !== "").map(a => {
    const s = label(c, a.name), chip = el("button", "chip", el("small", "", a.name), s.length > 60 ? s.slice(0, 58) + "…" : s);
    chip.title = "Show only " + a.name + " " + s;
    chip.type = "button";
    chip.onclick = () => narrow(a.name, s);
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
  const cmd = command(c), again = c.state === "failed" || c.state === "cancelled" ? M.retry : c.state === "held" ? M.resubmit : "";
  if (again) kids.push(part(c.state === "held" ? "Send it again" : "Try it again", copyButton("retry command", again), el("p", "cmd again", again)));
  if (cmd) kids.push(part("Command line", copyButton("command line", cmd), el("p", "cmd", cmd)));
  if (f) kids.push(filePart(c, f));
  else if (workflowLinks(c).length) kids.push(part("Files", null, el("div", "links", ...workflowLinks(c))));
  kids.push(el("p", "keys", el("kbd", "", "←"), " ", el("kbd", "", "↑"), " ", el("kbd", "", "↓"), " ", el("kbd", "", "→"), " move  ", el("kbd", "", "+"), " ", el("kbd", "", "−"), " ", el("kbd", "", "0"), " zoom  ",
    el("kbd", "", "["), " ", el("kbd", "", "]"), " files  ", el("kbd", "", "i"), " details  ", el("kbd", "", "p"), " ", el("kbd", "", "u"), " pin, unpin  ", el("kbd", "", "m"), " compare  ", el("kbd", "", "f"), " ", el("kbd", "", "1"), "–", el("kbd", "", "5"), " marks  ", el("kbd", "", "Esc"), " back"));
  info.replaceChildren(...kids);
  if (!still) info.scrollTop = 0;
}

function filePart(c, f) {
  const links = el("div", "links", link(f.kind === "image" ? "Open picture" : "Open file", f.path));
  if (f.kind === "other") links.firstChild.download = fileName(f);
  if (f.original) links.append(link("As rendered", f.original));
  links.append(...workflowLinks(c));
  const carries = (f.metadata || []).filter(k => k !== "comfyc");
  const hint = carries.length ? el("p", "hint", "Drop " + (f.original ? "the file as rendered" : "the file") + " on ComfyUI to get its graph back (it carries " + carries.join(" and ") + ").") : null;
  return part("File", copyButton("path", f.path), table([["name", f.path], ["variant", f.variant], ["node", [f.node, f.title].filter(Boolean).join(" · ")],
    ["size", [f.width ? f.width + " × " + f.height : "", size(f.bytes)].filter(Boolean).join(", ")], ["type", f.type], ["SHA-256", f.sha256, "mono"], ["note", f.note]]), links, hint);
}

