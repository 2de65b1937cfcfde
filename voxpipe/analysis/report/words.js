// What the page is made of, and how it writes numbers. Text from the call is only ever put on the page as text.
const DATA = JSON.parse(document.getElementById("data").textContent);
const NS_PER_S = 1e9, NS_PER_MS = 1e6;
// The calls of this page; `at` is where a call begins on the axis of time, which all of them share.
const CALLS = DATA.calls.map((call) => ({ ...call, at: 0 }));
const [CALL] = CALLS;
const byId = (id) => document.getElementById(id);

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// A time in the call: 0:04.302, 1:02:03.004; digits is how many follow the point.
function clock(ns, digits = 3) {
  if (ns === null || ns === undefined) return "unknown";
  const units = Math.round(ns / (NS_PER_S / 10 ** digits));
  const whole = Math.floor(units / 10 ** digits), rest = units % 10 ** digits;
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60, seconds = whole % 60;
  const two = (value) => String(value).padStart(2, "0");
  const head = hours ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
  return digits ? `${head}.${String(rest).padStart(digits, "0")}` : head;
}

function span(ns) {
  if (ns === null || ns === undefined) return "unknown";
  if (ns < 10 * NS_PER_MS) return `${trim(ns / NS_PER_MS, 1)} ms`;
  if (ns < NS_PER_S) return `${Math.round(ns / NS_PER_MS)} ms`;
  if (ns < 60 * NS_PER_S) return `${trim(ns / NS_PER_S, 2)} s`;
  return clock(ns, 0);
}

const trim = (value, digits) => String(Number(value.toFixed(digits)));
const grouped = (value) => String(value).replace(/^-?\d+/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, "\u202f"));
const counted = (value, one, many = `${one}s`) => `${grouped(value)} ${value === 1 ? one : many}`;
const clip = (text, longest) => (text.length <= longest ? text : `${text.slice(0, longest - 1)}…`);
const known = (value) => value !== null && value !== undefined;

// A value of the overview as a person reads it: tables as "name value", null as unknown.
function shown(value) {
  if (!known(value)) return "unknown";
  if (Array.isArray(value)) return value.map(shown).join(", ") || "none";
  if (typeof value === "object") {
    const pairs = Object.entries(value).filter(([, item]) => known(item));
    return pairs.map(([name, item]) => `${name} ${shown(item)}`).join(", ") || "none";
  }
  return typeof value === "number" ? trim(value, 3) : String(value);
}

// How long a caller waited for an answer: all of it, and what of it is after the provider's word that the turn had ended.
function waited(turn, told) {
  if (turn.speaker !== "caller") return { whole: null, known: null };
  const { stopped, played, received } = turn.marks_ns, answer = played ?? received;
  return { whole: told.latency.whole_ns, known: known(stopped) && known(answer) ? answer - stopped : null };
}

// Columns are pairs of a heading and a class.
function table(columns, rows) {
  const head = make("tr", {}, ...columns.map(([name, kind]) => make("th", { scope: "col", class: kind }, name)));
  const body = rows.map((cells) => make("tr", {}, ...cells.map((cell, index) => make("td", { class: columns[index][1] }, cell))));
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...body));
}

// Lines of the log as buttons that lead to them.
function lineButtons(lines) {
  return lines.flatMap((line, index) => [
    index ? ", " : null,
    make("button", { type: "button", class: "line", title: `Show line ${line} of the log`, onclick: () => showLine(line) }, String(line)),
  ]);
}
