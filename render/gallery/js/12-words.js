// ---- numbers for people
const money = v => v == null ? "" : "$" + (v === 0 ? "0" : v >= 0.1 ? v.toFixed(2) : v.toPrecision(2).includes("e") ? v.toFixed(7) : String(+v.toPrecision(2)));
const span = s => {
  if (s < 60) return (s < 10 ? +s.toFixed(2) : +s.toFixed(1)) + " s";
  const m = Math.floor(s / 60), h = Math.floor(m / 60);
  return h ? h + " h " + (m % 60) + " min" : m + " min " + Math.round(s % 60) + " s";
};
const size = b => b < 1e3 ? b + " B" : b < 1e6 ? (b / 1e3).toFixed(0) + " kB" : b < 1e9 ? (b / 1e6).toFixed(1) + " MB" : (b / 1e9).toFixed(2) + " GB";
const many = (n, one, more) => n.toLocaleString("en") + " " + (n === 1 ? one : more);
const when = t => { const d = new Date(t); return isNaN(d) ? "" : d.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }); };

