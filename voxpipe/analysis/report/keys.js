// What mouse, touch and keyboard do in the timeline.
const DRAG_PX = 4;
const pointers = new Map();
let drag = null, pinched = 0;

const stageX = (event) => event.clientX - byId("stage").getBoundingClientRect().left;

// Play a mark, or the place that was clicked within it; a mark without a sound of its own shows its event.
function activate(mark, ns) {
  if (SHOW_LINE && (mark.kind === "dot" || mark.kind === "tools") && mark.line) SHOW_LINE(mark.line);
  else seek(ns ?? beginOf(mark), true, mark.call);
}

// The call whose lanes are at a height of the stage.
const callAt = (y) => CALLS.find((call) => y < call.bottom) ?? CALLS.at(-1);

function press(event) {
  if (event.button) return;
  pointers.set(event.pointerId, stageX(event));
  drag = { x: stageX(event), from: VIEW.from, to: VIEW.to, moved: false, mark: event.target.closest(".mark") };
  pinched = 0;
}

function move(event) {
  const x = stageX(event), stage = byId("stage");
  if (!pointers.has(event.pointerId)) return hover(event, x);
  pointers.set(event.pointerId, x);
  if (pointers.size === 2) return pinch();
  if (!drag || (!drag.moved && Math.abs(x - drag.x) < DRAG_PX)) return undefined;
  if (!drag.moved) {
    drag.moved = true;
    stage.setPointerCapture(event.pointerId);
    stage.classList.add("dragged");
    hideTip();
  }
  const shift = ((x - drag.x) / chartWidth()) * (drag.to - drag.from);
  return show(drag.from - shift, drag.to - shift);
}

function pinch() {
  const [one, other] = [...pointers.values()], apart = Math.max(8, Math.abs(one - other));
  if (pinched) zoom(apart / pinched, toNs((one + other) / 2));
  pinched = apart;
  if (drag) drag.moved = true;
}

function release(event) {
  const pressed = pointers.delete(event.pointerId) ? drag : null;
  byId("stage").classList.remove("dragged");
  if (pointers.size) return;
  drag = null;
  if (!pressed || pressed.moved || event.type !== "pointerup") return;
  const ns = toNs(stageX(event));
  if (!pressed.mark?.isConnected) return seek(ns, true, callAt(event.clientY - byId("stage").getBoundingClientRect().top));
  pressed.mark.focus({ preventScroll: true });
  showTip(pressed.mark);
  return activate(pressed.mark.group.marks[0], pressed.mark.group.marks[0].kind === "turn" ? ns : undefined);
}

// The line under the pointer, with its time, which a zoom changes, too.
let hairX = 0;
function placeHair() {
  const hair = byId("hair");
  hair.style.transform = `translateX(${hairX}px)`;
  hair.dataset.time = clock(toNs(hairX));
  hair.classList.toggle("left", hairX > chartWidth() - 90);
}

function hover(event, x) {
  const mark = event.target.closest(".mark");
  hairX = x;
  byId("hair").style.visibility = "visible";
  placeHair();
  if (mark && mark !== tipped) showTip(mark);
  else if (!mark && tipped && tipped !== document.activeElement) hideTip();
}

function leave() {
  byId("hair").style.visibility = "hidden";
  if (tipped !== document.activeElement) hideTip();
}

function wheel(event) {
  const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
  if (!event.ctrlKey && !event.metaKey && !event.shiftKey && !sideways) return; // the page scrolls
  event.preventDefault();
  if (event.ctrlKey || event.metaKey) zoom(Math.exp(-event.deltaY / 300), toNs(stageX(event)));
  else pan((sideways ? event.deltaX : event.deltaY) / chartWidth());
}

function listenToChart() {
  const stage = byId("stage"), map = byId("map");
  stage.addEventListener("pointerdown", press);
  stage.addEventListener("pointermove", move);
  ["pointerup", "pointercancel"].forEach((name) => stage.addEventListener(name, release));
  stage.addEventListener("pointerleave", leave);
  stage.addEventListener("wheel", wheel, { passive: false });
  stage.addEventListener("dblclick", (event) => zoom(2, toNs(stageX(event))));
  byId("marks").addEventListener("focusin", (event) => event.target.group && showTip(event.target));
  byId("marks").addEventListener("focusout", hideTip);
  byId("marks").addEventListener("click", (event) => {
    const mark = event.target.closest(".mark"); // a screen reader's click has no pointer before it
    if (mark && event.detail === 0) activate(mark.group.marks[0]);
  });
  const centre = (event) => {
    const box = map.getBoundingClientRect(), ns = ((event.clientX - box.left) / box.width) * AXIS.end;
    show(ns - shownNs() / 2, ns + shownNs() / 2);
  };
  map.addEventListener("pointerdown", (event) => {
    map.setPointerCapture(event.pointerId);
    centre(event);
  });
  map.addEventListener("pointermove", (event) => event.buttons && centre(event));
}

const KEYS = {
  ArrowLeft: () => pan(-0.2),
  ArrowRight: () => pan(0.2),
  "+": () => zoom(1.6, focusNs()),
  "=": () => zoom(1.6, focusNs()),
  "-": () => zoom(1 / 1.6, focusNs()),
  0: wholeCall,
  n: () => step(1),
  p: () => step(-1),
  " ": toggle,
  "?": () => byId("keys").showModal(),
};

// Zoom keeps the place in the call where it is, if it is in sight.
const focusNs = () => (placeNs !== null && inView(placeNs, placeNs) ? placeNs : undefined);

function pressKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
  const target = event.target, mark = target.group?.marks[0];
  if (target.closest("input[type=search], select, textarea")) {
    if (event.key === "Escape") target.blur();
    return;
  }
  if (event.key === " " && target.closest("button, summary, input, a")) return;
  if (event.key.startsWith("Arrow") && target.closest("#detail, #session, #latencies")) return;
  let act = KEYS[event.key];
  if (mark && event.key === "Enter") act = () => activate(mark);
  if (mark && SHOW_LINE && event.key === "e" && mark.line) act = () => SHOW_LINE(mark.line);
  if (event.key === "Escape") act = hideTip;
  if (target.closest("#chart") && event.key === "Home") act = () => show(0, shownNs());
  if (target.closest("#chart") && event.key === "End") act = () => show(AXIS.end - shownNs(), AXIS.end);
  if (!act) return;
  event.preventDefault();
  act();
}

// A key that only this page has; without `act` it is one of a mark's.
function addKey(name, meaning, act) {
  if (act) KEYS[name] = act;
  document.querySelector("#keys dl").append(make("dt", {}, make("kbd", {}, name)), make("dd", {}, meaning));
}

function listen() {
  document.addEventListener("keydown", pressKey);
  byId("zoom-in").addEventListener("click", KEYS["+"]);
  byId("zoom-out").addEventListener("click", KEYS["-"]);
  byId("fit").addEventListener("click", wholeCall);
  byId("help").addEventListener("click", KEYS["?"]);
  byId("play").addEventListener("click", toggle);
  byId("speed").addEventListener("change", (event) => (heard.audio.playbackRate = Number(event.target.value)));
  for (const { audio } of CALLS) {
    ["play", "pause", "ended"].forEach((name) => audio.addEventListener(name, tellState));
    audio.addEventListener("seeked", placeCursor);
  }
  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((one) => (one.open = true));
    wholeCall();
    drawers.forEach((draw) => draw());
  });
  new ResizeObserver(redraw).observe(byId("chart"));
  NARROW.addEventListener("change", () => {
    layLanes();
    redraw();
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  listenToChart();
}

// Draw for the first time what every page has, and listen.
function beginTimeline() {
  sortMarks();
  layLanes();
  const silent = HAS_SOUND ? "Click to play there. " : "This page has no audio. ";
  byId("chart-help").textContent = `${silent}Drag or arrow keys move, + and − zoom, n and p go from turn to turn; ? shows all keys.`;
  drawers.push(drawChart, drawMap, placeBrush, drawMarks, placeCursor, placeHair);
  listen();
  redraw();
  setTimeout(loadSound); // after the first picture: an hour of sound takes a moment to unpack
}
