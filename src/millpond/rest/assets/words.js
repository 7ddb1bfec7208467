// How times, sizes and states are written; tables, cards and tabs.
// -- words

const pad = (number) => String(number).padStart(2, "0");
function time(ms) {
  if (!(ms > 0)) return "–";
  const at = new Date(ms), now = new Date();
  const clock = [at.getHours(), at.getMinutes(), at.getSeconds()].map(pad).join(":");
  const day = [at.getFullYear(), pad(at.getMonth() + 1), pad(at.getDate())].join("-");
  const text = at.toDateString() === now.toDateString() ? clock : day + " " + clock;
  return h("time", { datetime: at.toISOString(), title: at.toISOString() }, text);
}
function duration(ms) {
  if (ms === null || ms === undefined || ms < 0) return "–";
  if (Math.round(ms) < 1000) return Math.round(ms) + " ms";
  if (ms < 9950) return (ms / 1000).toFixed(1) + " s";
  const all = Math.floor(ms / 1000), days = Math.floor(all / 86400);
  const hours = Math.floor(all / 3600) % 24, minutes = Math.floor(all / 60) % 60;
  if (days) return days + " d " + hours + " h";
  if (hours) return hours + " h " + minutes + " min";
  return minutes ? minutes + " min " + (all % 60) + " s" : all + " s";
}
function bytes(size) {
  if (size === null || size === undefined || size < 0) return "–";
  let unit = 0;
  while (Math.round(size) >= 1024 && unit < 5) { size /= 1024; unit += 1; }
  const digits = unit === 0 || size >= 100 ? 0 : size >= 10 ? 1 : 2;
  return size.toFixed(digits) + " " + ["B", "KiB", "MiB", "GiB", "TiB", "PiB"][unit];
}
const count = (number) => number < 0 ? "–" : number.toLocaleString("en").replace(/,/g, "\u202f");
const KINDS = { RUNNING: "good", FINISHED: "water", COMPLETED: "good", FAILED: "bad",
  FAILING: "bad", RESTARTING: "warn", CANCELLING: "warn", CANCELING: "warn", INITIALIZING: "warn",
  CREATED: "warn", IN_PROGRESS: "warn", SUSPENDED: "warn" };
const badge = (status) =>
  h("span", { class: "badge " + (KINDS[status] || "") }, status.toLowerCase().replace("_", " "));
function stateBar(tasks, total) {
  const bar = h("span", { class: "state-bar", "aria-hidden": "true" });
  for (const [state, number] of Object.entries(tasks)) {
    if (!number) continue;
    const part = h("i", { class: KINDS[state.toUpperCase()] });
    part.style.width = (100 * number / total) + "%";
    bar.append(part);
  }
  const words = Object.entries(tasks).filter(([, number]) => number)
    .map(([state, number]) => number + " " + state.toLowerCase()).join(", ");
  return h("span", { class: "states", title: words }, bar, words);
}

// -- pieces

// A column: heading, whether it is a number, how a cell is made.
function table(columns, rows, { below, row = () => ({}) } = {}) {
  const head = columns.map(([label, number]) => h("th", { class: number && "number" }, label));
  const body = rows.map((each) => [
    h("tr", row(each),
      columns.map(([label, number, cell, kind]) => h("td",
        { class: [number ? "number" : "", kind || ""].join(" "), "data-label": label || "Details" },
        cell(each)))),
    below && below(each)]);
  return h("div", { class: "panel" },
    h("table", { class: "stack" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)));
}
const empty = (text) => h("div", { class: "panel" }, h("div", { class: "empty" }, text));
function card(label, big, ...rest) {
  return h("div", { class: "card" }, h("div", { class: "label" }, label),
    h("div", { class: "big" }, big), rest.map((each) => each && h("div", { class: "rest" }, each)));
}
function tabs(entries, current, small) {
  return h("nav", { class: "tabs" + (small ? " small" : "") }, entries.map(([label, href]) =>
    h("a", { href, class: href === current && "on",
      "aria-current": href === current && "page" }, label)));
}
function opener(key, label) {
  const is = opened.has(key);
  return h("button", { class: "plain", "data-key": key, "aria-expanded": String(is),
    "aria-label": label, onclick: () => { is ? opened.delete(key) : opened.add(key); refresh(); } },
    is ? "▾" : "▸");
}
const facts = (...pairs) => h("div", { class: "facts" }, pairs.filter(Boolean)
  .map(([label, value]) => h("span", {}, label, " ", h("b", {}, value))));
