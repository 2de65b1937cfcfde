// The page of one call: what it has beside the timeline, and its beginning.
const SHOW_LINE = showLine; // a mark leads to its event

function beginPage() {
  title();
  outcome();
  facts();
  verdicts();
  details();
  turnTable();
  tellFound();
  byId("colophon").textContent = "Made by voxpipe report from the log alone. Nothing in this page is loaded from or sent to anywhere.";
  addKey("e", "on a mark: show its event");
  addKey("/", "filter the events", () => byId("filter").focus());
  beginTimeline();
  drawers.push(drawRows);
  listenToEvents();
}

beginPage();
