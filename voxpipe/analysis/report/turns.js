// The table of turns: everything the lanes show of them, for reading.
const TURN_ROWS = [];
let currentTurn = -1;

function latencyCell(turn, told) {
  const cell = make("td", { class: "number", "data-name": "answered after" });
  if (turn.speaker !== "caller") return cell;
  const parts = Object.values(told.latency.parts_ns), answer = waited(turn, told);
  if (known(answer.whole)) cell.append(span(answer.whole));
  else if (known(answer.known)) cell.append(make("span", { title: `unknown: ${told.latency.missing.join(", ").replaceAll("_", " ")}` }, `${span(answer.known)} +`));
  else return cell;
  const bar = make("div", { class: "bar", "aria-hidden": "true" });
  for (const part of parts) {
    const piece = make("i", { class: known(part) ? null : "unseen" });
    piece.style.width = `${(140 * (part ?? 0)) / SLOWEST_NS}px`;
    bar.append(piece);
  }
  cell.append(bar);
  return cell;
}

function notes(turn, told) {
  if (turn.speaker === "caller") {
    return [known(turn.end_ns) ? null : "end not heard", told.transcription === "failed" ? `not transcribed: ${turn.trouble ?? "failed"}` : null];
  }
  const odd = told.status !== "completed" && !(told.cut && told.status === "cancelled");
  return [told.cut ? "cut" : null, odd ? `${told.status}${told.reason ? `: ${told.reason}` : ""}` : null];
}

function turnRow(turn, index) {
  const told = CALL.overview.turns[index], begin = turn.begin_ns ?? turn.end_ns ?? turn.created_ns;
  const go = () => {
    reveal(begin);
    seek(begin, true);
  };
  const length = known(turn.begin_ns) && known(turn.end_ns) ? span(turn.end_ns - turn.begin_ns) : "unknown";
  const place = make("button", { type: "button", class: "place", title: HAS_SOUND ? "Play from here" : "Show in the timeline", onclick: go }, clock(begin));
  const row = make("tr", {},
    make("td", { class: "when" }, place),
    make("td", { class: `who ${turn.speaker}` }, turn.speaker === "caller" ? "Caller" : "Agent"),
    make("td", { class: "words" }, told.transcript ?? make("span", { class: "muted" }, "no words")),
    make("td", { class: "number", "data-name": "lasts" }, length),
    latencyCell(turn, told),
    make("td", { class: "muted" }, notes(turn, told).filter(Boolean).join(", ")),
    make("td", { class: "number", "data-name": "line" }, ...lineButtons([turn.line])));
  TURN_ROWS.push(row);
  return row;
}

function turnTable() {
  if (!CALL.lanes.turns.length) return byId("turns").append(make("p", { class: "muted" }, "The log tells of no turns."));
  const names = [["Begins", ""], ["Who", ""], ["Words", ""], ["Lasts", "number"], ["Answered after", "number"], ["", ""], ["Line", "number"]];
  const head = make("tr", {}, ...names.map(([name, kind]) => make("th", { scope: "col", class: kind }, name)));
  return byId("turns").append(make("table", {}, make("thead", {}, head), make("tbody", {}, ...CALL.lanes.turns.map(turnRow))));
}

// Mark the turn that is being played.
function markTurn() {
  const index = CALL.lanes.turns.findLastIndex((turn) => known(turn.begin_ns) && turn.begin_ns <= placeNs && placeNs <= (turn.end_ns ?? turn.begin_ns));
  if (index === currentTurn) return;
  TURN_ROWS[currentTurn]?.classList.remove("current");
  TURN_ROWS[index]?.classList.add("current");
  currentTurn = index;
}
