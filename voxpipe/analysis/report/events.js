// The raw events: a list of any length, of which only the rows in sight are on the page.
const ROW_PX = 28;
const EVENTS = DATA.events.rows.map(([line, micros, direction, type, content]) => ({
  line, ns: micros * 1000, direction: DATA.events.directions[direction], type: DATA.events.types[type], content,
  folded: Array.isArray(content), last: Array.isArray(content) ? content[2] : line,
}));
const HARMFUL = /error|fail|crash|refused|overrun|underrun|suspect|lost|unanswered|unsupported/;
const STORY = new Map(CALL.story.map(([line, , , lane, words, count]) => [line, { lane, words: count > 1 ? `${words} (${count} times)` : words }]));
const told = (event) => (event.folded ? undefined : STORY.get(event.line));
let found = EVENTS, chosen = -1;

function preview(event) {
  if (!event.folded) return event.content ?? "… left out of this page";
  const [count, bytes] = event.content, lasted = span(event.content[3] * 1000 - event.ns);
  return `× ${grouped(count)}${bytes ? `, ${grouped(bytes)} bytes` : ""} in ${lasted}, to line ${event.last}`;
}

function haystack(event) {
  event.text ??= `${event.type} ${event.direction} ${told(event)?.words ?? ""} ${preview(event)}`.toLowerCase();
  return event.text;
}

function filter() {
  const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = (name) => document.querySelector(`.filter [name="${name}"]`).checked;
  const directions = new Set(DATA.events.directions.filter(wanted)), only = wanted("in-view"), story = wanted("story");
  const lines = words.filter((word) => /^line:\d+$/.test(word)).map((word) => Number(word.slice(5)));
  const rest = words.filter((word) => !/^line:\d+$/.test(word));
  found = EVENTS.filter((event) => directions.has(event.direction)
    && (!only || inView(event.ns, event.folded ? event.content[3] * 1000 : event.ns))
    && (!story || told(event) !== undefined)
    && lines.every((line) => event.line <= line && line <= event.last)
    && rest.every((word) => haystack(event).includes(word)));
  chosen = -1;
  byId("detail").textContent = "";
  byId("rows").scrollTop = 0;
  tellFound();
  drawRows();
}

function tellFound() {
  const out = DATA.events.left_out ? `, ${counted(DATA.events.left_out, "row")} left out` : "";
  byId("shown").textContent = `${grouped(found.length)} of ${grouped(EVENTS.length)} rows${out}`;
}

// What the story tells of an event, and by whom; else its data.
function content(event) {
  const { lane, words } = told(event) ?? {};
  if (!lane) return make("span", { class: "content" }, clip(preview(event), 300));
  return make("span", { class: "content told" }, make("b", { class: lane }, lane), ` ${words}`);
}

function rowElement(event, index) {
  const made = make("div", {
    class: `row${event.folded ? " audio" : ""}${HARMFUL.test(event.type) ? " fault" : ""}`, role: "option", id: `row${index}`,
    "aria-selected": String(index === chosen), "aria-posinset": String(index + 1), "aria-setsize": String(found.length),
    onclick: () => choose(index),
  },
  make("span", { class: "time" }, clock(event.ns)), make("span", { class: "line-no" }, String(event.line)),
  make("span", { class: "direction" }, event.direction), make("span", { class: "type", title: event.type }, event.type),
  content(event));
  made.style.top = `${index * ROW_PX}px`;
  return made;
}

function drawRows() {
  const list = byId("rows"), first = Math.max(0, Math.floor(list.scrollTop / ROW_PX) - 6);
  const last = Math.min(found.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW_PX) + 6);
  list.classList.toggle("empty", !found.length);
  byId("spacer").style.height = `${found.length * ROW_PX}px`;
  const rows = [];
  for (let index = first; index < last; index += 1) rows.push(rowElement(found[index], index));
  list.replaceChildren(byId("spacer"), ...rows);
  if (chosen >= first && chosen < last) list.setAttribute("aria-activedescendant", `row${chosen}`);
  else list.removeAttribute("aria-activedescendant");
}

function choose(index) {
  if (!found.length) return;
  chosen = Math.min(found.length - 1, Math.max(0, index));
  const list = byId("rows"), top = chosen * ROW_PX, event = found[chosen];
  if (top < list.scrollTop) list.scrollTop = top;
  if (top + ROW_PX > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW_PX - list.clientHeight;
  drawRows();
  const head = `line ${event.line}  ${clock(event.ns)}  ${event.direction}  ${event.type}\n`;
  const data = event.folded || event.content === null ? preview(event) : JSON.stringify(JSON.parse(event.content), null, 2);
  byId("detail").textContent = head + data;
  seek(event.ns, false);
  reveal(event.ns, 0.5);
}

// Show a line of the log among the events: whatever is filtered, it is there.
function showLine(line) {
  const has = (event) => event.line <= line && line <= event.last;
  if (!found.some(has)) {
    byId("filter").value = "";
    document.querySelectorAll(".filter [type=checkbox]").forEach((box) => (box.checked = DATA.events.directions.includes(box.name)));
    filter();
  }
  const exact = found.findIndex((event) => event.line === line);
  const index = exact >= 0 ? exact : found.findIndex(has);
  if (index < 0) return;
  byId("rows").scrollTop = Math.max(0, (index - 4) * ROW_PX);
  choose(index);
  byId("events").scrollIntoView({ block: "start" });
  byId("rows").focus({ preventScroll: true });
}

function listenToEvents() {
  const list = byId("rows");
  byId("filter").addEventListener("input", filter);
  document.querySelectorAll(".filter [type=checkbox]").forEach((box) => box.addEventListener("change", filter));
  list.addEventListener("scroll", drawRows, { passive: true });
  list.addEventListener("keydown", (event) => {
    const page = Math.floor(list.clientHeight / ROW_PX);
    const to = { ArrowDown: chosen + 1, ArrowUp: chosen - 1, PageDown: chosen + page, PageUp: chosen - page, Home: 0, End: found.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    choose(to);
  });
}
