// The turns of both calls side by side: the caller's first with the caller's first, the agent's second with its second.
const PAIRS = pairTurns(...CALLS.map((call) => call.lanes.turns));
let currentRow = null;

function numberTurns(turns) {
  const count = {};
  return turns.map((turn, index) => {
    count[turn.speaker] = (count[turn.speaker] ?? 0) + 1;
    return { turn, index, key: `${turn.speaker} ${count[turn.speaker]}` };
  });
}

// In the order of the expected call; a turn that only the actual one has follows what came before it there.
function pairTurns(expected, actual) {
  const before = numberTurns(expected), after = new Map(numberTurns(actual).map((one) => [one.key, one]));
  const rows = before.map((one) => ({ key: one.key, sides: [one, after.get(one.key) ?? null] }));
  const paired = new Set(before.map((one) => one.key));
  let place = 0;
  for (const one of after.values()) {
    if (paired.has(one.key)) place = rows.findIndex((row) => row.key === one.key) + 1;
    else rows.splice(place++, 0, { key: one.key, sides: [null, one] });
  }
  return rows;
}

const beginOfTurn = (turn) => turn.begin_ns ?? turn.end_ns ?? turn.created_ns;
const lasted = (turn) => (known(turn.begin_ns) && known(turn.end_ns) ? turn.end_ns - turn.begin_ns : null);

function changed(before, after) {
  if (!known(before) || !known(after)) return null;
  const change = after - before;
  return make("small", { class: "muted" }, ` ${change < 0 ? "−" : "+"}${span(Math.abs(change))}`);
}

// The whole wait where both calls tell it; otherwise, of both, what is known of it.
function waits(row) {
  const both = row.sides.map((one, number) => (one ? waited(one.turn, CALLS[number].overview.turns[one.index]) : null));
  const whole = both.every((one) => one === null || known(one.whole));
  return both.map((one) => ({ ns: (whole ? one?.whole : one?.known) ?? null, more: whole ? "" : " +" }));
}

function cells(row, number) {
  const one = row.sides[number], call = CALLS[number], name = number ? "actual" : "expected";
  if (one === null) return [make("td", { class: `side-${name}` }, name), make("td"), make("td", { class: "words muted" }, "no such turn"), make("td"), make("td")];
  const told = call.overview.turns[one.index], begin = beginOfTurn(one.turn), before = number ? row.sides[0]?.turn : null;
  const answers = waits(row), answer = answers[number];
  const go = () => {
    reveal(call.at + begin);
    seek(call.at + begin, true, call);
  };
  const facts = [told.cut ? "cut" : null, told.transcription === "failed" ? "not transcribed" : null].filter(known);
  return [
    make("td", { class: `side-${name}` }, name),
    make("td", { class: "when" }, make("button", { type: "button", class: "place", title: call.sounds ? "Play from here" : "Show in the timeline", onclick: go }, clock(begin))),
    make("td", { class: "words" }, told.transcript ?? make("span", { class: "muted" }, "no words"), facts.length ? make("span", { class: "muted" }, ` (${facts.join(", ")})`) : null),
    make("td", { class: "number", "data-name": "lasts" }, span(lasted(one.turn)), before && changed(lasted(before), lasted(one.turn))),
    make("td", { class: "number", "data-name": "answered after" }, known(answer.ns) ? span(answer.ns) + answer.more : "", before && changed(answers[0].ns, answer.ns)),
  ];
}

function turnTable() {
  if (!PAIRS.length) return byId("turns").append(make("p", { class: "muted" }, "The logs tell of no turns."));
  const rows = PAIRS.flatMap((row) => {
    const [speaker, number] = row.key.split(" ");
    const head = make("th", { scope: "rowgroup", rowspan: "2", class: `who ${speaker}` }, `${speaker === "caller" ? "Caller" : "Agent"} ${number}`);
    row.elements = [make("tr", {}, head, ...cells(row, 0)), make("tr", { class: "other" }, ...cells(row, 1))];
    return row.elements;
  });
  return byId("turns").append(headed(["Turn", "", "Begins", "Words", "Lasts", "Answered after"], rows));
}

// Mark the turn that is being played.
function markTurn() {
  const number = CALLS.indexOf(heard), ns = placeNs - heard.at;
  const row = PAIRS.findLast(({ sides: { [number]: one } }) => one && known(one.turn.begin_ns) && one.turn.begin_ns <= ns && ns <= (one.turn.end_ns ?? one.turn.begin_ns));
  const element = row?.elements[number] ?? null;
  if (element === currentRow) return;
  currentRow?.classList.remove("current");
  element?.classList.add("current");
  currentRow = element;
}
