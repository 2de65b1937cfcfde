// What can be pointed at in the lanes: by mouse, by touch, or by keyboard in the order of time. Each mark says what it is.
const CLUSTER_PX = 13;
const marksShown = new Map();
let tipped = null;

function row(name, value) {
  return make("tr", {}, make("td", {}, name), make("td", {}, value));
}

function partsTable(marks) {
  const names = DATA.parts, values = Object.values(marks);
  const rows = names.map((name, index) => {
    const begin = values[index], end = values[index + 1];
    return row(name.replaceAll("_", " "), known(begin) && known(end) && end >= begin ? span(end - begin) : "unknown");
  });
  return make("table", {}, ...rows);
}

function turnMark(turn, index, { overview, duration_ns: duration }) {
  const told = overview.turns[index], caller = turn.speaker === "caller";
  const begin = turn.begin_ns ?? turn.end_ns ?? turn.created_ns, end = turn.end_ns ?? (known(turn.begin_ns) ? duration : begin);
  const words = told.transcript ?? (caller ? (turn.trouble ?? "no transcript") : told.cut ? "cut" : "no words");
  const facts = [];
  if (!caller && told.cut) facts.push("cut by the caller");
  if (!caller && known(turn.audio_ns)) facts.push(`${span(turn.audio_ns)} of audio received`);
  if (!caller && told.status === "unknown") facts.push("how the response ended is unknown");
  else if (!caller && told.status !== "completed") facts.push(`response ${told.status}${told.reason ? `, ${told.reason}` : ""}`);
  if (!caller && told.heard_by === "arrival") facts.push("placed by its arrival");
  if (caller && !known(turn.end_ns)) facts.push("its end was not heard");
  const times = `${clock(turn.begin_ns)} – ${clock(turn.end_ns)}`;
  return {
    key: `turn${index}`, lane: turn.speaker, kind: "turn", begin, end, line: turn.line, turn: index,
    open: !known(turn.end_ns), title: caller ? "Caller" : "Agent", words, times, facts,
  };
}

function latencyMark(bar) {
  const whole = bar.marks.every(known) ? bar.end - bar.begin : null;
  return {
    key: `latency${bar.turn.line}`, lane: "latency", kind: "latency", begin: bar.begin, end: bar.end, line: bar.turn.line, bar,
    title: known(whole) ? `Answered after ${span(whole)}` : `Answered after ${span(bar.end - bar.begin)} and what is unknown`,
    words: "", times: `${clock(bar.begin)} – ${clock(bar.end)}`, facts: [], table: () => partsTable(bar.turn.marks_ns),
  };
}

function cutMark(cut, index, { overview }) {
  const told = overview.interruptions.find((one) => one.line === cut.line) ?? {};
  const at = cut.silent_ns ?? cut.began_ns, heard = Object.values(told.played_ms ?? {});
  const facts = [known(told.silence_ns) ? `silent after ${span(told.silence_ns)}` : "when it fell silent is unknown"];
  if (heard.length) facts.push(`${heard.map((ms) => `${ms} ms`).join(", ")} heard of it`);
  const truncated = Object.values(told.truncated_ms ?? {});
  if (truncated.length) facts.push(`truncated at ${truncated.map((ms) => `${ms} ms`).join(", ")}`);
  return { key: `cut${cut.line}`, lane: "agent", kind: "cut", begin: at, end: at, line: cut.line, title: "The agent was cut", words: "", times: clock(at), facts };
}

function toolMark(tool, index, { overview, duration_ns: duration }) {
  const told = overview.tools[index], end = tool.end_ns ?? duration;
  const facts = [told.outcome, known(told.duration_ns) ? `after ${span(told.duration_ns)}` : null, told.message].filter(known);
  return { key: `tool${tool.line}`, lane: "tools", kind: "tools", begin: tool.begin_ns, end, line: tool.line, title: `Tool ${told.name ?? "without a name"}`, words: told.name ?? "", times: clock(tool.begin_ns), facts };
}

function storyMark([line, t_ns, , lane, words, count]) {
  const often = count > 1 ? ` (${count} times)` : "";
  return { key: `story${line}`, lane, kind: "dot", begin: t_ns, end: t_ns, line, title: clip(words, 160) + often, words: "", times: clock(t_ns), facts: [] };
}

function airMark(air, index) {
  return { key: `air${index}`, lane: "faults", kind: "air", begin: air.begin_ns, end: air.end_ns, line: null, title: `Nobody spoke for ${span(air.end_ns - air.begin_ns)}`, words: "dead air", times: `${clock(air.begin_ns)} – ${clock(air.end_ns)}`, facts: [] };
}

function promptMark(prompt) {
  const facts = ["its audio is not in the log"];
  return { key: `prompt${prompt.begin_ns}`, lane: "agent", kind: "prompt", begin: prompt.begin_ns, end: prompt.end_ns, line: null, title: `Played to the caller: ${prompt.name || "without a name"}`, words: prompt.name, times: `${clock(prompt.begin_ns)} – ${clock(prompt.end_ns)}`, facts };
}

function marksOf(call, index) {
  const { lanes, story } = call, of = (things, make) => things.map((thing, number) => make(thing, number, call));
  return [
    ...of(lanes.prompts, promptMark),
    ...of(lanes.turns, turnMark),
    ...of(lanes.cuts, cutMark),
    ...of(call.bars, latencyMark),
    ...of(lanes.tools, toolMark),
    ...of(lanes.dead_air, airMark),
    ...of(story.filter((line) => line[3] === "session" || line[3] === "faults"), storyMark),
  ].map((mark) => ({ ...mark, call, key: `${index}${mark.key}` }));
}

// A mark keeps the time of its own call; on the axis it lies here.
const beginOf = (mark) => mark.call.at + mark.begin;
const endOf = (mark) => mark.call.at + mark.end;
const MARKS = CALLS.flatMap(marksOf);
const STEPS = MARKS.filter((mark) => mark.kind !== "latency" && mark.lane !== "session");

function sortMarks() {
  for (const marks of [MARKS, STEPS]) marks.sort((one, other) => beginOf(one) - beginOf(other));
}

const named = (mark) => (mark.call.name ? `${mark.call.name}: ${mark.title}` : mark.title);
const label = (mark) => [named(mark), mark.times, mark.words, ...mark.facts].filter(Boolean).join(", ");

// Dots that would lie upon one another become one with their number.
function clustered(marks) {
  const found = [], last = new Map();
  for (const mark of marks) {
    const lane = mark.call.boxes[mark.lane], before = last.get(lane);
    if (mark.kind === "dot" && before && toX(beginOf(mark)) - toX(beginOf(before.marks[0])) < CLUSTER_PX) before.marks.push(mark);
    else {
      found.push({ marks: [mark] });
      if (mark.kind === "dot") last.set(lane, found.at(-1));
    }
  }
  return found;
}

const share = (px) => `${(100 * px) / chartWidth()}%`;

function element(group) {
  const [mark] = group.marks, many = group.marks.length > 1;
  const made = make("div", {
    class: ["mark", mark.kind, mark.lane, mark.open ? "open" : "", many ? "many" : ""].join(" "), tabindex: "-1", role: "button",
    "aria-label": many ? `${mark.call.name ? `${mark.call.name}: ` : ""}${group.marks.length} events from ${mark.times}: ${group.marks.map((one) => one.title).join("; ")}` : label(mark),
  });
  made.group = group;
  const { top, height } = mark.call.boxes[mark.lane];
  const x = toX(beginOf(mark)), left = mark.kind === "dot" ? Math.min(Math.max(9, x), chartWidth() - 9) : x;
  made.style.left = share(left); // a share, so that it holds on paper, too
  made.style.top = `${mark.kind === "dot" ? top + height / 2 - 7 : top}px`;
  if (mark.kind !== "dot") made.style.height = `${height}px`;
  if (["turn", "prompt", "tools", "air", "latency"].includes(mark.kind)) dress(made, mark, left);
  if (many) made.textContent = String(group.marks.length);
  return made;
}

// Give a mark its width, and words where there is room; words stay in view when the mark begins before it.
function dress(made, mark, left) {
  const width = toX(endOf(mark)) - left, hidden = Math.max(0, -left);
  made.style.width = share(Math.max(2, Math.min(width, chartWidth() + 20 - left)));
  if (mark.kind === "latency") {
    const { top, height } = mark.call.boxes.latency, tall = barHeight(mark.bar, height);
    made.style.top = `${top + height - tall}px`;
    made.style.height = `${tall}px`;
    if (width > 24) made.append(make("span", {}, span(mark.end - mark.begin)));
  } else if (width - hidden > 30 && mark.words) {
    const words = make("span", {}, mark.words);
    if (mark.kind === "turn") words.style.left = `${hidden + 6}px`;
    made.append(words);
  }
}

function drawMarks() {
  const focused = document.activeElement?.group?.marks[0].key;
  marksShown.clear();
  const groups = clustered(MARKS.filter((mark) => inView(beginOf(mark), endOf(mark))));
  byId("marks").replaceChildren(...groups.map((group) => {
    const made = element(group);
    group.marks.forEach((mark) => marksShown.set(mark.key, made));
    return made;
  }));
  if (focused && marksShown.has(focused)) marksShown.get(focused).focus({ preventScroll: true });
  else hideTip();
}

// --- the tip ------------------------------------------------------------------------------------------------------------

function tipContent(group) {
  const [mark] = group.marks;
  if (group.marks.length > 1) {
    const rows = group.marks.slice(0, 8).map((one) => row(one.title, one.times));
    if (group.marks.length > 8) rows.push(row(`and ${group.marks.length - 8} more`, ""));
    return [make("table", {}, ...rows)];
  }
  return [
    make("b", {}, named(mark)), make("span", { class: "mono" }, mark.times),
    mark.kind === "turn" && mark.words ? make("div", {}, clip(mark.words, 400)) : null,
    mark.facts.length ? make("div", {}, mark.facts.join(", ")) : null,
    mark.table ? mark.table() : null,
  ].filter(Boolean);
}

function showTip(target) {
  const tip = byId("tip");
  tipped = target;
  tip.replaceChildren(...tipContent(target.group));
  tip.hidden = false;
  const box = target.getBoundingClientRect(), stage = byId("stage").getBoundingClientRect();
  const middle = (Math.max(box.left, stage.left) + Math.min(box.right, stage.right)) / 2;
  const left = Math.min(Math.max(8, middle - tip.offsetWidth / 2), document.documentElement.clientWidth - tip.offsetWidth - 8);
  const above = box.top - tip.offsetHeight - 8;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > 8 ? above : box.bottom + 8}px`;
}

function hideTip() {
  tipped = null;
  byId("tip").hidden = true;
}

// Go to the next (1) or previous (-1) turn, cut, tool or fault.
let stepped = -1;
function step(direction) {
  if (!STEPS.length) return;
  const current = document.activeElement?.group?.marks[0];
  if (current) stepped = STEPS.findLastIndex((mark) => mark === current || beginOf(mark) < beginOf(current));
  stepped = Math.min(STEPS.length - 1, Math.max(0, stepped + direction));
  const mark = STEPS[stepped];
  reveal(beginOf(mark));
  drawers.forEach((draw) => draw());
  const target = marksShown.get(mark.key);
  target.focus({ preventScroll: true });
  byId("chart").scrollIntoView({ block: "nearest" });
  showTip(target);
}
