// The lanes of every call and the map of all of it, drawn on canvases; marks.js lays what can be pointed at over the lanes.
const WAVE_HEIGHT = 88, PLAIN_HEIGHT = 40, GAP = 14, HEADING = 30, BETWEEN = 18;
const RULER = 24;
const STEPS_S = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 10800, 43200, 86400];
const SIDES = [["caller", "uplink"], ["agent", "downlink"]];
const WAVE_NOTES = { levels: "level, by the second", none: "no audio in the log", "too long": "too long to draw" };

const waveHeight = (wave) => (wave.pyramid.length ? WAVE_HEIGHT : PLAIN_HEIGHT);
const NARROW = window.matchMedia("(max-width: 720px)");

function lanesOf({ waves, lanes, story }) {
  const faulty = story.some((line) => line[3] === "faults") || lanes.dead_air.length;
  return [
    ["caller", "Caller", waveHeight(waves.uplink), WAVE_NOTES[waves.uplink.kind]],
    ["agent", "Agent", waveHeight(waves.downlink), WAVE_NOTES[waves.downlink.kind]],
    ["latency", "Latency", 34],
    ["session", "Session", 18],
    ...(lanes.tools.length ? [["tools", "Tools", 18]] : []),
    ["faults", "Faults", 18, faulty ? null : "none"],
  ];
}

// Beside the lanes there is room for their names; in a narrow window these stand above them.
function layLanes() {
  const narrow = NARROW.matches, gap = narrow ? 26 : GAP;
  let top = RULER + (narrow ? 18 : 6);
  byId("labels").replaceChildren();
  for (const call of CALLS) {
    call.boxes = {};
    if (call !== CALL) top += BETWEEN;
    if (call.name) top = layHeading(call, narrow ? top - 18 : top) + (narrow ? 18 : 0);
    for (const [name, label, height, note] of lanesOf(call)) {
      call.boxes[name] = { top, height };
      const text = make("span", {}, label, note ? make("small", {}, note) : null);
      text.style.top = `${narrow ? top - 18 : height >= PLAIN_HEIGHT ? top : top + height / 2 - 9}px`;
      byId("labels").append(text);
      top += height + gap;
    }
    call.bottom = top - gap / 2;
  }
  byId("chart").style.height = `${top - gap + 6}px`;
}

// Where there are several calls, each has its name above its lanes; returns where these begin.
function layHeading(call, top) {
  const heading = make("b", {}, call.name, make("small", { class: "mono" }, ` ${call.overview.log.path}`));
  heading.style.top = `${top}px`;
  byId("labels").append(heading);
  return top + HEADING;
}

const CANVASES = { chart: document.querySelector("#chart > canvas"), map: document.querySelector("#map > canvas") };

// Fit a canvas to its box in device pixels; returns its context, scaled to CSS pixels, and its size.
function begin(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas, ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const chartWidth = () => byId("stage").clientWidth;
const toX = (ns) => ((ns - VIEW.from) / shownNs()) * chartWidth();
const toNs = (x) => VIEW.from + (x / chartWidth()) * shownNs();

function drawRuler(context, width, height) {
  const wanted = (shownNs() / NS_PER_S) * (96 / width);
  const step = STEPS_S.find((candidate) => candidate >= wanted) ?? 604800;
  const digits = step < 0.1 ? 2 : step < 1 ? 1 : 0;
  context.font = `12px ${colour("mono")}`;
  context.textBaseline = "middle";
  for (let number = Math.ceil(VIEW.from / NS_PER_S / step); number * step * NS_PER_S <= VIEW.to; number += 1) {
    const ns = number * step * NS_PER_S, x = Math.round(toX(ns)) + 0.5;
    context.fillStyle = colour("line");
    context.fillRect(x - 0.5, RULER, 1, height - RULER);
    const text = clock(ns, digits), room = context.measureText(text).width;
    context.fillStyle = colour("muted");
    if (x + room < width) context.fillText(text, number ? Math.max(0, x - room / 2) : 0, 10);
  }
}

function drawChart() {
  const { context, width, height } = begin(CANVASES.chart);
  drawRuler(context, width, height);
  for (const call of CALLS) {
    const view = { from: VIEW.from - call.at, to: VIEW.to - call.at };
    for (const [lane, side] of SIDES) {
      if (!call.waves[side].pyramid.length) continue;
      const box = { left: 0, top: call.boxes[lane].top + 2, width, height: WAVE_HEIGHT - 26 };
      context.fillStyle = colour("line");
      context.fillRect(0, box.top + box.height / 2 - 0.5, width, 1);
      drawWave(context, call.waves[side], box, colour(lane), view);
    }
    drawLatencies(context, call);
  }
  byId("range").textContent = `${clock(VIEW.from)} – ${clock(VIEW.to)}`;
  byId("chart").setAttribute("aria-label", `Timeline, shown from ${clock(VIEW.from)} to ${clock(VIEW.to)}`);
}

// The parts of each latency side by side, in tints of one colour; the slower the answer, the taller the bar.
const TINTS = [0.35, 0.2, 0.5, 0.65, 0.85, 1];
for (const call of CALLS) {
  call.bars = call.lanes.turns.flatMap((turn) => {
    if (turn.speaker !== "caller") return [];
    const marks = Object.values(turn.marks_ns), present = marks.filter(known);
    if (present.length < 2) return [];
    return [{ turn, marks, begin: Math.min(...present), end: Math.max(...present) }];
  });
}
const SLOWEST_NS = Math.max(NS_PER_S, ...CALLS.flatMap((call) => call.bars.map((bar) => bar.end - bar.begin)));
const barHeight = (bar, height) => Math.max(5, (height * (bar.end - bar.begin)) / SLOWEST_NS);

function drawLatencies(context, call) {
  const { top, height } = call.boxes.latency, x = (ns) => toX(call.at + ns);
  context.fillStyle = colour("latency");
  for (const bar of call.bars) {
    if (!inView(call.at + bar.begin, call.at + bar.end)) continue;
    const tall = barHeight(bar, height), left = x(bar.begin);
    if (x(bar.end) - left < 6) {
      context.globalAlpha = 0.85;
      context.fillRect(left, top + height - tall, Math.max(1.5, x(bar.end) - left), tall);
      continue;
    }
    bar.marks.slice(1).forEach((end, part) => {
      const start = bar.marks[part];
      if (!known(start) || !known(end) || end <= start) return;
      context.globalAlpha = TINTS[part];
      context.fillRect(x(start), top + height - tall, Math.max(0.5, x(end) - x(start)), tall);
    });
  }
  context.globalAlpha = 1;
}

function drawMap() {
  const { context, width, height } = begin(CANVASES.map), row = height / (2 * CALLS.length), scale = width / AXIS.end;
  CALLS.forEach((call, index) => {
    const view = { from: -call.at, to: AXIS.end - call.at };
    SIDES.forEach(([speaker, side], lane) => {
      const top = (2 * index + lane) * row;
      if (call.waves[side].pyramid.length) drawWave(context, call.waves[side], { left: 0, top: top + 1, width, height: row - 2 }, colour(speaker), view);
      else drawTurns(context, call, speaker, top + row / 2 - 3, scale);
    });
    context.fillStyle = colour("faults");
    for (const [, t_ns, , lane] of call.story) {
      if (lane === "faults") context.fillRect((call.at + t_ns) * scale - 0.5, 2 * index * row, 1.5, 2 * row);
    }
  });
}

function drawTurns(context, call, speaker, y, scale) {
  context.fillStyle = colour(speaker);
  for (const turn of call.lanes.turns) {
    if (!known(turn.begin_ns) || turn.speaker !== speaker) continue;
    const end = turn.end_ns ?? call.duration_ns;
    context.fillRect((call.at + turn.begin_ns) * scale, y, Math.max(1, (end - turn.begin_ns) * scale), 6);
  }
}

function placeBrush() {
  const brush = byId("brush"), share = shownNs() / AXIS.end;
  brush.style.left = `${(100 * VIEW.from) / AXIS.end}%`;
  brush.style.width = `${100 * share}%`;
  brush.hidden = share > 0.999;
}
