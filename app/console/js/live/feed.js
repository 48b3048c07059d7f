// The hints of `GET /events`: what happens in any thread that one may read. One stream per browser.
import { api } from "../api.js";
import { onSessionEnd, session } from "../session.js";
import { createStore } from "../signals.js";
import { sharedStream } from "./shared_stream.js";

const FIRST_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 15_000;
// A clock that jumps by this much has slept, and a connection that slept is dead without knowing it.
const SLEPT_MS = 25_000;
const TICK_MS = 5000;
// An ending process and its next one: shorter than this nothing is said.
const QUIET_MS = 2500;
const KINDS = ["thread.activity", "thread.deleted"];

/** `open`, `connecting`, or `away` where the service has not answered for a while. */
export const connectionStore = createStore("connecting");

const listeners = new Set();
let shared = null;
let quiet = 0;

/**
 * Hear the hints: `listener({type: "thread.activity", thread: {id, title, last_activity_at, running, waiting}})`,
 * `{type: "thread.deleted", thread_id}`. `{type: "feed.open"}` says that some may have been missed: list again.
 * Returns its end.
 */
export function onFeed(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Open the feed of who is signed in. Ends with the session. */
export function startFeed() {
  shared?.close();
  shared = sharedStream({
    name: `feed.${session.me.user_id}`,
    open: openFeed,
    onEvent: (event) => {
      for (const listener of [...listeners]) listener(event);
    },
    onState: showState,
  });
}

function stopFeed() {
  shared?.close();
  shared = null;
  clearTimeout(quiet);
  connectionStore.set("connecting");
}

onSessionEnd(stopFeed);

function showState(state) {
  clearTimeout(quiet);
  if (state !== "away") connectionStore.set(state);
  else quiet = setTimeout(() => connectionStore.set("away"), QUIET_MS);
}

/** The stream itself, in the tab that leads. An EventSource comes back by itself until its ticket is refused. */
function openFeed({ emit, setState }) {
  let source = null;
  let timer = 0;
  let delay = FIRST_DELAY_MS;
  let ended = false;
  let ticked = Date.now();

  const connect = async () => {
    clearTimeout(timer);
    source?.close();
    source = null;
    try {
      const { ticket } = await api.post("/tickets", {});
      if (ended) return;
      follow(ticket);
    } catch (problem) {
      if (ended || problem.status === 401) return;
      later(problem.retryAfterS);
    }
  };
  const follow = (ticket) => {
    const own = new EventSource(`/events?ticket=${encodeURIComponent(ticket)}`);
    source = own;
    own.addEventListener("open", () => {
      delay = FIRST_DELAY_MS;
      setState("open");
      emit({ type: "feed.open" });
    });
    own.addEventListener("error", () => {
      if (own !== source) return;
      setState("away");
      if (own.readyState === EventSource.CLOSED) later();
    });
    for (const kind of KINDS) own.addEventListener(kind, ({ data }) => emit(JSON.parse(data)));
  };
  const later = (afterS) => {
    setState("away");
    // Tabs of many people do not come back at the same moment.
    timer = setTimeout(connect, Math.max((afterS ?? 0) * 1000, delay * (0.75 + Math.random() / 2)));
    delay = Math.min(delay * 2, LONGEST_DELAY_MS);
  };
  const again = () => {
    delay = FIRST_DELAY_MS;
    connect();
  };
  const tick = setInterval(() => {
    const slept = Date.now() - ticked > SLEPT_MS;
    ticked = Date.now();
    if (slept) again();
  }, TICK_MS);

  window.addEventListener("online", again);
  connect();
  return () => {
    ended = true;
    clearTimeout(timer);
    clearInterval(tick);
    window.removeEventListener("online", again);
    source?.close();
  };
}
