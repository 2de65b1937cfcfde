// The player. Without audio in the page there is still a place on the axis of time, which a click moves.
const BLOCKS = document.querySelectorAll(".sound"), ELEMENTS = document.querySelectorAll("audio");
CALLS.forEach((call, index) => {
  call.audio = ELEMENTS[index];
  call.sounds = BLOCKS[index].textContent.length > 0;
});
const HAS_SOUND = CALLS.some((call) => call.sounds);
let heard = CALLS.find((call) => call.sounds) ?? CALL; // the call that is listened to
let placeNs = null;

function loadSound() {
  CALLS.forEach((call, index) => {
    if (!call.sounds) return;
    call.audio.src = URL.createObjectURL(new Blob([unpack(BLOCKS[index].textContent)], { type: "audio/ogg" }));
    BLOCKS[index].textContent = "";
  });
  byId("player").hidden = !HAS_SOUND;
  byId("end").textContent = clock(heard.duration_ns);
}

// Go to a place on the axis and, with `play`, play from there; in another call than before, if one is named.
function seek(ns, play, call = heard) {
  if (call !== heard) {
    heard.audio.pause();
    call.audio.playbackRate = heard.audio.playbackRate;
    heard = call;
    byId("end").textContent = clock(call.duration_ns);
    redraw();
  }
  const own = Math.min(Math.max(0, ns - call.at), call.duration_ns);
  placeNs = call.at + own;
  if (call.sounds) {
    const go = () => {
      call.audio.currentTime = own / NS_PER_S;
      if (play && call === heard) call.audio.play().catch(() => {});
    };
    if (call.audio.readyState >= 1) go();
    else call.audio.addEventListener("loadedmetadata", go, { once: true });
  }
  placeCursor();
}

function toggle() {
  if (!heard.sounds) return;
  if (!heard.audio.paused) heard.audio.pause();
  else if (heard.audio.ended || placeNs === null || placeNs >= heard.at + heard.duration_ns) {
    seek(placeNs === null ? VIEW.from : heard.at, true);
  } else heard.audio.play().catch(() => {});
}

function placeCursor() {
  const cursor = byId("cursor"), x = placeNs === null ? -1 : toX(placeNs);
  cursor.style.visibility = x >= 0 && x <= chartWidth() ? "visible" : "hidden";
  cursor.style.transform = `translateX(${x}px)`;
  if (placeNs !== null) byId("now").textContent = clock(placeNs - heard.at);
}

function follow() {
  if (heard.audio.paused || heard.audio.seeking) return placeCursor();
  placeNs = heard.at + heard.audio.currentTime * NS_PER_S;
  if (placeNs > VIEW.to && shownNs() < AXIS.end) show(placeNs - 0.05 * shownNs(), placeNs + 0.95 * shownNs());
  placeCursor();
  markTurn();
  return requestAnimationFrame(follow);
}

function tellState({ target }) {
  const playing = !heard.audio.paused;
  if (target === heard.audio && !playing) placeNs = heard.at + target.currentTime * NS_PER_S; // to go on from there
  byId("play").setAttribute("aria-pressed", String(playing));
  byId("play").setAttribute("aria-label", playing ? "Pause" : "Play");
  if (playing) requestAnimationFrame(follow);
}
