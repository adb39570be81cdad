// Live pages: one stream of hints says that something happened; the regions that
// show it are asked for again, at most every so often. A region is an element with
// an id and data-live: empty, or the id of the run that it shows.
const atMostEvery = 1500; // ms between two refreshes of a page
const atLeastEvery = 15000; // ms: what no hint tells of, such as credits

let source = null;
let wanted = false; // a refresh
let busy = false;
let last = 0;

// here is the page's address. One that shows what became of an action has another.
const here = () => document.getElementById("main").dataset.here ?? location.href;

// every is the longest time between two refreshes: a region whose change no hint
// tells of says a shorter one.
const every = () => Math.min(atLeastEvery, ...regions().map((r) => Number(r.dataset.liveEvery) || atLeastEvery));

const regions = () => [...document.querySelectorAll("[data-live]")];

export function startLive() {
  if (regions().length === 0 || !here() || !window.htmx || !window.EventSource) return;
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : start()));
  addEventListener("pagehide", stop);
  addEventListener("pageshow", (event) => event.persisted && start());
  setInterval(() => { if (source && Date.now() - last > every()) want(); }, 1000);
  if (!document.hidden) start();
}

function start() {
  if (source) return;
  say("waiting", "connecting");
  source = new EventSource("/api/v1/events");
  source.onopen = () => { say("on", "live"); if (last) want(); };
  source.onerror = () => {
    say("waiting", "reconnecting");
    if (source?.readyState === EventSource.CLOSED) { // refused: the browser does not try again
      source.close();
      source = null;
      setTimeout(() => document.hidden || start(), 10000);
    }
  };
  for (const type of ["message", "run", "reset"]) source.addEventListener(type, hint);
  last ||= Date.now();
}

function stop() {
  source?.close();
  source = null;
  say("off", "paused");
}

function hint(event) {
  let run = "";
  try { run = JSON.parse(event.data).run || ""; } catch { /* any */ }
  if (regions().some((r) => !r.dataset.live || !run || r.dataset.live === run)) want();
}

function want() {
  if (wanted) return;
  wanted = true;
  setTimeout(refresh, Math.max(0, last + atMostEvery - Date.now()));
}

// One request brings all regions: the page itself, of which they are taken.
async function refresh() {
  if (busy || document.hidden) {
    wanted = false;
    return;
  }
  busy = true;
  wanted = false;
  last = Date.now();
  try {
    const answer = await fetch(here(), { headers: { Accept: "text/html" }, credentials: "same-origin", redirect: "manual" });
    if (answer.type === "opaqueredirect") location.reload(); // the session is over
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const old of regions()) {
      const fresh = page.getElementById(old.id);
      if (fresh && !fresh.isEqualNode(old)) await htmx.swap({ target: old, text: fresh.outerHTML, swap: "outerMorph" });
    }
    document.dispatchEvent(new Event("refreshed"));
  } catch {
    say("waiting", "reconnecting");
  } finally {
    busy = false;
    last = Date.now();
    if (source?.readyState === EventSource.OPEN) say("on", "live");
  }
}

function say(state, word) {
  const sign = document.querySelector("[data-live-state]");
  if (!sign || sign.dataset.liveState === state) return;
  sign.dataset.liveState = state;
  sign.querySelector(".word").textContent = word;
}
