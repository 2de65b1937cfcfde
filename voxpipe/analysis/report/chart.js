// The lanes and the map of the whole call, drawn on canvases; marks.js lays what can be pointed at over the lanes.
const WAVE_HEIGHT = 88, PLAIN_HEIGHT = 40, GAP = 14;
const RULER = 24;
const STEPS_S = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 10800, 43200, 86400];
const laneBoxes = {};
const WAVE_NOTES = { levels: "level, by the second", none: "no audio in the log", "too long": "too long to draw" };

const waveHeight = (side) => (WAVES[side].pyramid.length ? WAVE_HEIGHT : PLAIN_HEIGHT);
const NARROW = window.matchMedia("(max-width: 720px)");

// Beside the lanes there is room for their names; in a narrow window these stand above them.
function layLanes() {
  const narrow = NARROW.matches, gap = narrow ? 26 : GAP;
  const wanted = [
    ["caller", "Caller", waveHeight("uplink"), WAVE_NOTES[DATA.waves.uplink.kind]],
    ["agent", "Agent", waveHeight("downlink"), WAVE_NOTES[DATA.waves.downlink.kind]],
    ["latency", "Latency", 34],
    ["session", "Session", 18],
    ...(LANES.tools.length ? [["tools", "Tools", 18]] : []),
    ["faults", "Faults", 18, DATA.story.some((line) => line[3] === "faults") || LANES.dead_air.length ? null : "none"],
  ];
  let top = RULER + (narrow ? 18 : 6);
  byId("labels").replaceChildren();
  for (const [name, label, height, note] of wanted) {
    laneBoxes[name] = { top, height };
    const text = make("span", {}, label, note ? make("small", {}, note) : null);
    text.style.top = `${narrow ? top - 18 : height >= PLAIN_HEIGHT ? top : top + height / 2 - 9}px`;
    byId("labels").append(text);
    top += height + gap;
  }
  byId("chart").style.height = `${top - gap + 6}px`;
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
  for (const [lane, side] of [["caller", "uplink"], ["agent", "downlink"]]) {
    if (!WAVES[side].pyramid.length) continue;
    const { top } = laneBoxes[lane], box = { left: 0, top: top + 2, width, height: WAVE_HEIGHT - 26 };
    context.fillStyle = colour("line");
    context.fillRect(0, box.top + box.height / 2 - 0.5, width, 1);
    drawWave(context, WAVES[side], box, colour(lane), VIEW);
  }
  drawLatencies(context);
  byId("range").textContent = `${clock(VIEW.from)} – ${clock(VIEW.to)}`;
  byId("chart").setAttribute("aria-label", `Timeline, shown from ${clock(VIEW.from)} to ${clock(VIEW.to)}`);
}

// The parts of each latency side by side, in tints of one colour; the slower the answer, the taller the bar.
const TINTS = [0.35, 0.2, 0.5, 0.65, 0.85, 1];
const BARS = LANES.turns.flatMap((turn) => {
  if (turn.speaker !== "caller") return [];
  const marks = Object.values(turn.marks_ns), present = marks.filter(known);
  if (present.length < 2) return [];
  return [{ turn, marks, begin: Math.min(...present), end: Math.max(...present) }];
});
const SLOWEST_NS = Math.max(NS_PER_S, ...BARS.map((bar) => bar.end - bar.begin));
const barHeight = (bar, height) => Math.max(5, (height * (bar.end - bar.begin)) / SLOWEST_NS);

function drawLatencies(context) {
  const { top, height } = laneBoxes.latency;
  context.fillStyle = colour("latency");
  for (const bar of BARS) {
    if (!inView(bar.begin, bar.end)) continue;
    const tall = barHeight(bar, height), x = toX(bar.begin);
    if (toX(bar.end) - x < 6) {
      context.globalAlpha = 0.85;
      context.fillRect(x, top + height - tall, Math.max(1.5, toX(bar.end) - x), tall);
      continue;
    }
    bar.marks.slice(1).forEach((end, part) => {
      const start = bar.marks[part];
      if (!known(start) || !known(end) || end <= start) return;
      context.globalAlpha = TINTS[part];
      context.fillRect(toX(start), top + height - tall, Math.max(0.5, toX(end) - toX(start)), tall);
    });
  }
  context.globalAlpha = 1;
}

function drawMap() {
  const { context, width, height } = begin(CANVASES.map), whole = { from: 0, to: DURATION_NS };
  drawWave(context, WAVES.uplink, { left: 0, top: 2, width, height: height / 2 - 3 }, colour("caller"), whole);
  drawWave(context, WAVES.downlink, { left: 0, top: height / 2 + 1, width, height: height / 2 - 3 }, colour("agent"), whole);
  const scale = width / DURATION_NS;
  for (const turn of LANES.turns) {
    if (!known(turn.begin_ns) || WAVES[turn.speaker === "caller" ? "uplink" : "downlink"].pyramid.length) continue;
    context.fillStyle = colour(turn.speaker);
    const end = turn.end_ns ?? DURATION_NS, y = turn.speaker === "caller" ? 8 : height / 2 + 8;
    context.fillRect(turn.begin_ns * scale, y, Math.max(1, (end - turn.begin_ns) * scale), 6);
  }
  context.fillStyle = colour("faults");
  for (const [, t_ns, , lane] of DATA.story) if (lane === "faults") context.fillRect(t_ns * scale - 0.5, 0, 1.5, height);
}

function placeBrush() {
  const brush = byId("brush"), share = shownNs() / DURATION_NS;
  brush.style.left = `${(100 * VIEW.from) / DURATION_NS}%`;
  brush.style.width = `${100 * share}%`;
  brush.hidden = share > 0.999;
}
