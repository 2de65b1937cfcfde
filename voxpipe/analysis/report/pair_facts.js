// What differs, told in tables: the page of a comparison has this whether it is of two calls or of two folders.
const COMPARED = DATA.comparison;
const WORDS = { true: "worse", false: "better", null: "other" };
const decided = (pair) => pair.finding === "higher" || pair.finding === "lower";
const moved = (pair) => decided(pair) || pair.expected.median !== pair.actual.median;
const side = (name) => make("span", { class: `side-${name}` }, name);

function title() {
  const many = COMPARED.expected.length > 1 || COMPARED.actual.length > 1;
  byId("title").textContent = many ? "Calls compared" : "Two calls compared";
  for (const name of ["expected", "actual"]) {
    const count = COMPARED[name].length > 1 ? ` (${counted(COMPARED[name].length, "call")})` : "";
    byId("subtitle").append(make("p", {}, side(name), ` ${DATA.names[name]}${count}`));
  }
}

function outcome() {
  const worse = COMPARED.verdicts.filter((pair) => pair.worse === true).length;
  const better = COMPARED.verdicts.filter((pair) => pair.worse === false).length;
  const numbers = COMPARED.numbers.filter(decided).length;
  const said = [
    worse ? make("span", { class: "state fails" }, `${counted(worse, "check is", "checks are")} worse. `) : null,
    better ? make("span", { class: "state holds" }, `${counted(better, "check is", "checks are")} better. `) : null,
    worse || better ? null : make("span", { class: "state" }, "No check is worse or better. "),
    make("span", { class: "muted" }, `${counted(numbers, "number is", "numbers are")} higher or lower beyond chance; `
      + `${counted(COMPARED.settings.length, "setting differs", "settings differ")}; `
      + `${counted(COMPARED.errors.length, "kind of error differs", "kinds of error differ")}.`),
  ];
  byId("outcome").append(make("p", {}, ...said.filter(known)));
}

const none = (place, words = "no difference") => byId(place).append(make("p", { class: "muted" }, words));

function statuses(counts) {
  const told = Object.entries(counts).filter(([, count]) => count);
  const whole = told.reduce((sum, [, count]) => sum + count, 0) === 1;
  return told.flatMap(([status, count], index) => [
    index ? ", " : null, make("span", { class: status }, whole ? status : `${count} ${status}`),
  ].filter(known));
}

function verdicts() {
  if (!COMPARED.verdicts.length) return none("verdicts");
  const order = (pair) => (pair.worse === true ? 0 : pair.worse === null ? 1 : 2);
  const rows = [...COMPARED.verdicts].sort((one, other) => order(one) - order(other)).map((pair) => make("tr", {},
    make("td", { class: `finding ${pair.worse === true ? "fails" : pair.worse === false ? "holds" : "muted"}` }, WORDS[pair.worse]),
    make("td", {}, pair.name),
    make("td", { "data-name": "expected" }, ...statuses(pair.expected)),
    make("td", { "data-name": "actual" }, ...statuses(pair.actual)),
    make("td", { class: "words muted" }, pair.evidence, COMPARED.expected.length + COMPARED.actual.length > 2 ? ` (${pair.log})` : null)));
  return byId("verdicts").append(headed(["", "Check", "Expected", "Actual", "Evidence"], rows));
}

function headed(names, rows) {
  const head = make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name)));
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
}

function settings(place, found) {
  if (!found.length) return none(place);
  return byId(place).append(table([["", ""], ["Expected", "words"], ["Actual", "words"]], found.map((one) => [one.name, one.expected, one.actual])));
}

// --- numbers ------------------------------------------------------------------------------------------------------------

const figure = (value) => (known(value) ? grouped(Number(value.toPrecision(4))) : "unknown");

function spreadWords({ count, unknown, median, low, high }) {
  const around = count > 1 ? make("small", { class: "muted" }, ` ${figure(low)} to ${figure(high)}; ${count}`) : null;
  const lacking = unknown ? make("small", { class: "muted" }, `, ${unknown} unknown`) : null;
  return [figure(median), around, lacking].filter(known);
}

// Every value a dot and the median a stroke, both sides on one scale: how far they lie apart, and how wide each is.
function strip(pair, values) {
  const all = [...values.expected, ...values.actual], low = Math.min(...all), high = Math.max(...all);
  const made = make("div", { class: "strip", role: "img", "aria-label": `from ${figure(low)} to ${figure(high)}` });
  const place = (value) => `${high > low ? 2 + (96 * (value - low)) / (high - low) : 50}%`;
  for (const name of ["expected", "actual"]) {
    for (const value of values[name]) {
      const dot = make("i", { class: `side-${name}` });
      dot.style.left = place(value);
      made.append(dot);
    }
    if (!known(pair[name].median)) continue;
    const median = make("i", { class: `side-${name} median` });
    median.style.left = place(pair[name].median);
    made.append(median);
  }
  return made;
}

function numberRow(pair) {
  const { median: before } = pair.expected, { median: after } = pair.actual;
  const change = known(before) && known(after) ? `${after >= before ? "+" : "−"}${figure(Math.abs(after - before))}` : "unknown";
  const chance = known(pair.p) ? make("small", { class: "muted" }, ` p ${pair.p < 0.001 ? "< 0.001" : trim(pair.p, 3)}`) : null;
  return make("tr", {},
    make("td", {}, pair.name.replaceAll("_", " ")),
    make("td", { class: "number side-expected", "data-name": "expected" }, ...spreadWords(pair.expected)),
    make("td", { class: "number side-actual", "data-name": "actual" }, ...spreadWords(pair.actual)),
    make("td", { class: "number delta", "data-name": "difference" }, change),
    make("td", {}, make("span", { class: decided(pair) ? "finding" : "muted" }, pair.finding), chance),
    make("td", { class: "strips" }, strip(pair, DATA.values[pair.name])));
}

function numbers() {
  const wanted = byId("all-numbers").checked ? COMPARED.numbers : COMPARED.numbers.filter(moved);
  byId("numbers").replaceChildren();
  if (!wanted.length) return none("numbers");
  const rows = [...wanted].sort((one, other) => decided(other) - decided(one)).map(numberRow);
  return byId("numbers").append(headed(["", "Expected", "Actual", "Difference", "Finding", ""], rows));
}

function difference() {
  title();
  outcome();
  verdicts();
  numbers();
  byId("all-numbers").addEventListener("change", numbers);
  byId("numbers-note").textContent = "The median, and in small print the middle half and how many values are known. "
    + "A finding is given where a rank test (Mann-Whitney, corrected by Holm) makes chance unlikely at 5 %. "
    + "Dots are the values, strokes the medians.";
  settings("settings", COMPARED.settings);
  settings("errors", COMPARED.errors);
  byId("colophon").textContent = "Made by voxpipe compare from the logs alone. Nothing in this page is loaded from or sent to anywhere.";
}
