// The head of the page and the verdicts: what the commands analyze and check tell, laid out.
function title() {
  const began = CALL.overview.call.started_at, log = CALL.overview.log;
  const when = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})/.exec(began);
  byId("title").textContent = when ? `Call of ${when[1]}, ${when[2]}${/(Z|[+-]00:00)$/.test(began) ? " UTC" : ""}` : "Call";
  byId("subtitle").textContent = `${log.path} · ${log.shape}, ${counted(log.lines, "line")}`;
}

function outcome() {
  const count = (status) => DATA.verdicts.filter((verdict) => verdict.status === status).length;
  const failing = count("fails");
  const state = DATA.passed ? "Nothing fails." : `${counted(failing, "check fails", "checks fail")}.`;
  byId("outcome").append(make("p", {},
    make("span", { class: `state ${DATA.passed ? "holds" : "fails"}` }, state),
    make("span", { class: "muted" }, ` ${count("holds")} hold, ${count("unknown")} unknown. Ended because: ${CALL.overview.call.ended_because}.`)));
  for (const fault of DATA.faults) byId("outcome").append(make("p", { class: "fails" }, fault));
}

function facts() {
  const { latencies_ms: latencies, turns, tokens, losses } = CALL.overview;
  const of = (speaker) => turns.filter((turn) => turn.speaker === speaker).length;
  const ms = (value) => (known(value) ? span(value * NS_PER_MS) : "unknown");
  const spread = (found, otherwise) => [ms(found.median_ms), known(found.median_ms) ? `median of ${found.count}, 95 % within ${ms(found.p95_ms)}` : otherwise];
  const errors = CALL.overview.errors.filter((error) => !error.harmless).reduce((sum, error) => sum + error.count, 0);
  const lost = known(losses) ? losses.filter((loss) => loss.records) : null;
  const session = CALL.overview.session.confirmed ?? CALL.overview.session.provider_defaults;
  const answer = latencies.answer.count ? latencies.answer : latencies.first_audio;
  const tiles = [
    ["Lasted", CALL.duration_ns < 60 * NS_PER_S ? span(CALL.duration_ns) : clock(CALL.duration_ns, 1), `${counted(of("caller"), "turn")} of the caller, ${of("agent")} of the agent`],
    ["Latency of a turn", ...spread(latencies.turn, of("caller") ? "no turn is known in whole" : null)],
    ["After the turn’s end", ...spread(answer, of("caller") ? "no turn is known to be answered" : null)],
    ["Interruptions", grouped(CALL.overview.interruptions.length), known(latencies.barge_in.max_ms) ? `silent after ${ms(latencies.barge_in.max_ms)} at most` : null],
    ["Losses", lost === null ? "unknown" : lost.length ? lost.map((loss) => loss.name).join(", ") : "none", lost?.length ? lost.map((loss) => `${grouped(loss.total)} ${loss.unit}`).join(", ") : null],
    ["Errors", grouped(errors), null],
    ["Model", session?.model ?? "unknown", session?.voice ? `voice ${shown(session.voice)}` : null],
    ["Tokens", known(tokens.sums?.total_tokens) ? grouped(tokens.sums.total_tokens) : "unknown", counted(tokens.responses_told, "response")],
  ];
  for (const [name, value, note] of tiles) {
    byId("facts").append(make("div", {}, make("dt", {}, name), make("dd", {}, value, note ? make("small", {}, note) : null)));
  }
}

function verdicts() {
  for (const verdict of DATA.verdicts.filter((one) => one.status === "fails")) {
    byId("failing").append(make("article", { class: "failure" },
      make("h3", {}, `${verdict.group}: ${verdict.name}`),
      verdict.fault ? make("p", { class: "fault" }, verdict.fault) : null,
      make("p", {}, verdict.evidence),
      make("p", { class: "muted" }, verdict.advice),
      verdict.lines.length ? make("p", { class: "small" }, "Lines ", ...lineButtons(verdict.lines)) : null));
  }
  const rows = DATA.verdicts.map((verdict) => make("tr", {},
    make("td", { class: verdict.status }, verdict.status),
    make("td", {}, `${verdict.group}: ${verdict.name}`),
    make("td", { class: "muted" }, verdict.evidence, verdict.lines.length ? " — lines " : "", ...lineButtons(verdict.lines))));
  byId("checks").querySelector("summary").textContent = `All ${DATA.verdicts.length} checks`;
  byId("checks").querySelector("div").append(make("table", {}, make("tbody", {}, ...rows)));
}

function format(value) {
  if (!known(value) || typeof value !== "object") return shown(value);
  const { name, ...rest } = value, facts = Object.entries(rest).filter(([, fact]) => known(fact));
  return `${name}: ${facts.map(([key, fact]) => (key === "rate_hz" ? `${fact} Hz` : shown(fact))).join(", ")}`;
}

function details() {
  const { requested, confirmed, provider_defaults: defaults } = CALL.overview.session;
  const right = confirmed ?? defaults, names = Object.keys(requested ?? right ?? {}).filter((name) => name !== "line_no");
  const told = (session, name) => (session ? (name.endsWith("link") ? format(session[name]) : shown(session[name])) : "nothing");
  const facts = names.map((name) => [name.replaceAll("_", " "), told(requested, name), told(right, name)]);
  byId("session").querySelector("div").append(facts.length
    ? table([["", ""], ["Asked for", ""], [confirmed || !defaults ? "Confirmed" : "The provider’s defaults", ""]], facts)
    : make("p", { class: "muted" }, "The log does not tell of a session’s configuration."));
  const ms = (value) => (known(value) ? value.toFixed(1) : "unknown");
  const rows = Object.entries(CALL.overview.latencies_ms).map(([name, found]) => [
    name.replaceAll("_", " "), String(found.count), String(found.unknown), ms(found.median_ms), ms(found.p95_ms), ms(found.max_ms), DATA.words[name] ?? "",
  ]);
  const columns = [["In milliseconds", ""], ...["known", "unknown", "median", "95 %", "most"].map((name) => [name, "number"]), ["From, to", "muted"]];
  byId("latencies").querySelector("div").append(table(columns, rows));
}
