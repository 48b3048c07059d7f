// One stream per browser, however many tabs there are: HTTP/1.1 allows six connections to a host, for all tabs together.
//
// By Web Locks one tab is the leader of a name. It holds the stream, and tells the others by a BroadcastChannel. When
// the leader's tab is closed, crashes, or is hidden for long (browsers freeze hidden tabs) while another is seen, the
// next one opens the stream. Where a browser has no locks (they need HTTPS or loopback), each tab holds its own.

const HIDDEN_MS = 60_000;
const channels = "BroadcastChannel" in window;
const locks = navigator.locks;

/**
 * Share the events of a stream between tabs.
 *
 * `open({emit, state, resume})` opens it in the leader's tab and returns a function that closes it. It calls
 * `emit(event)` for each event (a plain object) and `setState(state)` ("connecting", "open", "away") as it changes.
 * `resume` is the last event that this tab has seen, or null: a new leader goes on there.
 * `onEvent(event)` and `onState(state)` are called in every tab, in the leader's own too; `onLeader()` when a new leader
 * has begun, so that a listener can look for what was lost in between.
 * Returns `{close(), isLeader()}`.
 */
export function sharedStream({ name, open, onEvent, onState = () => {}, onLeader = () => {} }) {
  const channel = locks && channels ? new BroadcastChannel(`ai-agents.stream.${name}`) : null;
  let leading = null; // ends the leadership
  let last = null;
  let state = "connecting";
  let closed = false;
  let waiting = null; // aborts the request for the lock
  let hidden = 0;

  const setState = (next) => {
    if (next === state) return;
    state = next;
    onState(state);
    if (leading) channel?.postMessage({ type: "state", state });
  };
  const emit = (event) => {
    last = event;
    onEvent(event);
    channel?.postMessage({ type: "event", event });
  };

  /** Lead until `leading` is called. */
  const lead = () =>
    new Promise((resolve) => {
      if (closed) {
        resolve();
        return;
      }
      const close = open({ emit, setState, resume: last });
      leading = () => {
        leading = null;
        close();
        resolve();
      };
      channel?.postMessage({ type: "leader" });
      onLeader();
      if (hidden) lookForSeen(hidden + HIDDEN_MS - Date.now());
    });

  /** Ask, once this tab has been hidden for long, whether another is seen. */
  const lookForSeen = (ms) => {
    setTimeout(() => {
      if (hidden && leading) channel?.postMessage({ type: "who" });
    }, Math.max(ms, 0) + 100);
  };

  const stand = async () => {
    if (!channel) {
      await lead();
      return;
    }
    waiting = new AbortController();
    try {
      await locks.request(`ai-agents.stream.${name}`, { signal: waiting.signal }, lead);
    } catch (error) {
      if (error.name !== "AbortError") throw error;
      return;
    }
    // Led and gave way: stand at the end of the queue again.
    if (!closed) stand();
  };

  const hear = ({ data }) => {
    if (data.type === "event") {
      last = data.event;
      onEvent(data.event);
    } else if (data.type === "state") {
      state = data.state;
      onState(state);
    } else if (data.type === "leader") {
      onLeader();
    } else if (data.type === "hello") {
      if (leading) channel.postMessage({ type: "state", state });
      if (leading && data.seen) giveWay();
    } else if (data.type === "who" && document.visibilityState === "visible") {
      channel.postMessage({ type: "hello", seen: true });
    }
  };

  /** A leader that has been hidden for long lets a tab lead that is seen. */
  const giveWay = () => {
    if (hidden && Date.now() - hidden >= HIDDEN_MS) leading();
  };
  const onVisibility = () => {
    hidden = document.visibilityState === "hidden" ? Date.now() : 0;
    if (!hidden) channel?.postMessage({ type: "hello", seen: true });
    else lookForSeen(HIDDEN_MS);
  };

  channel?.addEventListener("message", hear);
  document.addEventListener("visibilitychange", onVisibility);
  if (document.visibilityState === "hidden") hidden = Date.now();
  channel?.postMessage({ type: "hello", seen: document.visibilityState === "visible" });
  stand();

  return {
    isLeader: () => leading !== null,
    close() {
      closed = true;
      document.removeEventListener("visibilitychange", onVisibility);
      waiting?.abort();
      leading?.();
      channel?.close();
    },
  };
}
