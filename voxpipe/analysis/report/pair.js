// The page of two calls: how they lie on the axis of time, and which of them is listened to.
const SHOW_LINE = null; // the raw events are in each call's own page
const ANCHORS = [
  { words: "the begin of each call", of: () => 0 },
  ...PAIRS.filter(({ sides }) => sides.every((one) => one && known(one.turn.begin_ns))).map(({ key, sides }) => ({
    words: `${key.replace(" ", "’s turn ")}`, of: (number) => sides[number].turn.begin_ns,
  })),
];

// Lay both calls so that an instant of one lies upon an instant of the other; what was in sight stays in sight.
function align({ of }) {
  const shift = of(0) - of(1), own = placeNs === null ? null : placeNs - heard.at, before = CALLS[0].at, whole = shownNs() >= AXIS.end;
  CALLS[0].at = Math.max(0, -shift);
  CALLS[1].at = Math.max(0, shift);
  layAxis();
  sortMarks();
  if (own !== null) placeNs = heard.at + own;
  if (whole) wholeCall();
  else show(VIEW.from + CALLS[0].at - before, VIEW.to + CALLS[0].at - before);
}

function alignment() {
  const choice = make("select", { id: "align" }, ...ANCHORS.map(({ words }, index) => make("option", { value: String(index) }, words)));
  choice.addEventListener("change", () => align(ANCHORS[Number(choice.value)]));
  document.querySelector("#timeline .toolbar").prepend(make("label", { class: "align small" }, "Aligned at", choice));
}

// Go on with the other call, at the same place of the axis.
function other() {
  const playing = heard.audio.paused === false, next = CALLS.find((call) => call !== heard);
  seek(placeNs ?? VIEW.from, playing, next);
}

function tellHeard() {
  document.querySelectorAll("#heard input").forEach((input, index) => (input.checked = CALLS[index] === heard));
}

function listeners() {
  const radios = CALLS.map((call) => make("label", { class: `small side-${call.name.toLowerCase()}` },
    make("input", { type: "radio", name: "heard", onchange: () => call !== heard && other() }), call.name));
  byId("play").after(make("fieldset", { id: "heard" }, make("legend", { class: "unseen" }, "Listen to"), ...radios));
}

function beginPage() {
  byId("map").classList.add("of-pair");
  difference();
  turnTable();
  alignment();
  listeners();
  addKey("x", "listen to the other call, at the same place", other);
  beginTimeline();
  drawers.push(tellHeard);
}

beginPage();
