// The player. Without audio in the page there is still a place in the call, which a click moves.
const AUDIO = byId("audio"), HAS_SOUND = byId("sound").textContent.length > 0;
let placeNs = null;

function loadSound() {
  if (!HAS_SOUND) return;
  const block = byId("sound");
  AUDIO.src = URL.createObjectURL(new Blob([unpack(block.textContent)], { type: "audio/ogg" }));
  block.textContent = "";
  byId("player").hidden = false;
  byId("end").textContent = clock(DURATION_NS);
}

// Go to a place in the call and, with `play`, play from there.
function seek(ns, play) {
  placeNs = Math.min(Math.max(0, ns), DURATION_NS);
  if (HAS_SOUND) {
    const go = () => {
      AUDIO.currentTime = placeNs / NS_PER_S;
      if (play) AUDIO.play().catch(() => {});
    };
    if (AUDIO.readyState >= 1) go();
    else AUDIO.addEventListener("loadedmetadata", go, { once: true });
  }
  placeCursor();
}

function toggle() {
  if (!HAS_SOUND) return;
  if (!AUDIO.paused) AUDIO.pause();
  else if (AUDIO.ended || placeNs === null || placeNs >= DURATION_NS) seek(placeNs === null ? VIEW.from : 0, true);
  else AUDIO.play().catch(() => {});
}

function placeCursor() {
  const cursor = byId("cursor"), x = placeNs === null ? -1 : toX(placeNs);
  cursor.style.visibility = x >= 0 && x <= chartWidth() ? "visible" : "hidden";
  cursor.style.transform = `translateX(${x}px)`;
  if (placeNs !== null) byId("now").textContent = clock(placeNs);
}

function follow() {
  if (AUDIO.paused || AUDIO.seeking) return placeCursor();
  placeNs = AUDIO.currentTime * NS_PER_S;
  if (placeNs > VIEW.to && shownNs() < DURATION_NS) show(placeNs - 0.05 * shownNs(), placeNs + 0.95 * shownNs());
  placeCursor();
  markTurn();
  return requestAnimationFrame(follow);
}

function tellState() {
  const playing = !AUDIO.paused;
  byId("play").setAttribute("aria-pressed", String(playing));
  byId("play").setAttribute("aria-label", playing ? "Pause" : "Play");
  if (playing) requestAnimationFrame(follow);
}
