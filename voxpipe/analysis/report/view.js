// The axis of time, and the part of it that is shown: from, to, in nanoseconds. Everything that draws is told of a change
// once a frame.
const NARROWEST_NS = 50 * NS_PER_MS;
const AXIS = { end: 0 }, VIEW = { from: 0, to: 0 };
const drawers = [];
let pending = false;

// Let the axis end where the last call ends.
function layAxis() {
  AXIS.end = Math.max(NS_PER_MS, ...CALLS.map((call) => call.at + call.duration_ns));
}

function redraw() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => {
    pending = false;
    drawers.forEach((draw) => draw());
  });
}

function show(from, to) {
  const width = Math.min(AXIS.end, Math.max(Math.min(NARROWEST_NS, AXIS.end), to - from));
  VIEW.from = Math.min(Math.max(0, from), AXIS.end - width);
  VIEW.to = VIEW.from + width;
  redraw();
}

const shownNs = () => VIEW.to - VIEW.from;
const inView = (begin, end) => end >= VIEW.from && begin <= VIEW.to;
const pan = (share) => show(VIEW.from + share * shownNs(), VIEW.to + share * shownNs());
const wholeCall = () => show(0, AXIS.end);

// Zoom in by a factor above 1; what is at `at` stays where it is.
function zoom(factor, at = (VIEW.from + VIEW.to) / 2) {
  const width = Math.min(AXIS.end, Math.max(NARROWEST_NS, shownNs() / factor));
  const share = (at - VIEW.from) / shownNs();
  show(at - share * width, at - share * width + width);
}

// Bring an instant into view, without a change of zoom.
function reveal(ns, share = 0.3) {
  const margin = 0.04 * shownNs();
  if (ns < VIEW.from + margin || ns > VIEW.to - margin) show(ns - share * shownNs(), ns + (1 - share) * shownNs());
}

layAxis();
VIEW.to = AXIS.end;
