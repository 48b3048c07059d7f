// A thread's events, once and in order, over one stream per browser: one tab (which holds a lock) reads, the others
// listen to it. Each tab knows by itself what it has; a tab that comes later, or that missed something, asks the reader to
// read from there again, and all drop what they know already.

import { api } from "../api.js";
import { placeOf } from "../chat/conversation.js";
import { sharedStream } from "./shared_stream.js";

const TYPES = [
  "run.queued", "run.started", "message.started", "message.delta", "reasoning.delta", "message.completed",
  "tool.started", "tool.completed", "run.waiting", "run.retrying", "guardrail.triggered", "context.compacted",
  "run.completed", "run.cancelled", "run.failed", "thread.updated", "thread.deleted",
];
const HIDDEN_MS = 60_000; // a tab that is not seen for so long gives its stream up
const ASLEEP_MS = 20_000; // a clock that stood still for so long: the computer slept, and the connection is dead
const TICK_MS = 4_000;
const BACKOFF_MS = [500, 1_000, 2_000, 4_000, 8_000, 15_000];

const isBefore = (a, b) => {
  const [one, other] = [placeOf(a), placeOf(b)];
  return one.row < other.row || (one.row === other.row && one.position < other.position);
};

/** The connection itself: tickets, reconnecting, and what the browser's EventSource does not do by itself. */
class Source {
  constructor(threadId, { onEvent, onState }) {
    Object.assign(this, { threadId, onEvent, onState, source: null, ticket: null, failures: 0, turn: 0 });
  }

  async open(from) {
    this.close();
    const turn = ++this.turn;
    this.last = from;
    try {
      this.ticket ??= (await api.post("/tickets", { thread_id: this.threadId })).ticket;
    } catch (problem) {
      if (turn !== this.turn) return;
      if (problem.status === 404 || problem.status === 401) this.onState("gone");
      else this.later();
      return;
    }
    if (turn !== this.turn) return;
    const query = new URLSearchParams({ ticket: this.ticket, last_event_id: from });
    const source = new EventSource(`/threads/${this.threadId}/events?${query}`);
    this.source = source;
    source.onopen = () => {
      this.failures = 0;
      this.onState("open");
    };
    source.onerror = () => {
      if (source.readyState !== EventSource.CLOSED) return this.onState("connecting");
      // A refusal ends an EventSource: the ticket has ended, or a proxy answered while the service starts again.
      this.ticket = null;
      this.later();
    };
    for (const type of TYPES) {
      source.addEventListener(type, (event) => {
        this.last = event.lastEventId;
        this.onEvent({ ...JSON.parse(event.data), id: event.lastEventId });
      });
    }
  }

  later() {
    this.onState(this.failures >= 2 ? "stale" : "connecting");
    const wait = BACKOFF_MS[Math.min(this.failures, BACKOFF_MS.length - 1)];
    this.failures += 1;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(this.last), wait);
  }

  close() {
    clearTimeout(this.timer);
    this.turn += 1;
    this.source?.close();
    this.source = null;
  }
}

export class ThreadStream {
  /**
   * `cursor()` is from which event on this tab needs the stream; `deliver(events)` gets them in order, some twice.
   * `onState`: open, connecting, stale (what the tab has may be too old to go on from) or gone.
   */
  constructor(threadId, user, { cursor, deliver, onState }) {
    Object.assign(this, { threadId, cursor, deliver, onState, batch: [], stream: null, source: null });
    this.name = `thread.${user}.${threadId}`;
    this.seen = () => this.changeVisibility();
    this.again = () => this.source?.open(this.cursor());
    document.addEventListener("visibilitychange", this.seen);
    window.addEventListener("online", this.again);
    window.addEventListener("pageshow", this.again);
    let before = Date.now();
    this.ticking = setInterval(() => {
      if (Date.now() - before > ASLEEP_MS) this.again();
      before = Date.now();
    }, TICK_MS);
    this.start();
  }

  start() {
    if (this.stream) return;
    // Tabs ask the one that reads to begin earlier, with what they have.
    this.wishes = "BroadcastChannel" in window ? new BroadcastChannel(`ai-agents.wish.${this.name}`) : null;
    if (this.wishes) {
      this.wishes.onmessage = ({ data }) => {
        if (this.source && isBefore(data.from, this.source.last)) this.source.open(data.from);
      };
    }
    this.stream = sharedStream({
      name: this.name,
      open: (leader) => this.read(leader),
      onEvent: ({ events }) => this.deliver(events),
      onState: (state) => this.onState(state),
      onLeader: () => this.wish(),
    });
    this.wish();
  }

  /** Be the tab that reads. Returns how it ends. */
  read({ emit, setState }) {
    this.source = new Source(this.threadId, { onEvent: (event) => this.collect(event, emit), onState: setState });
    this.source.open(this.cursor());
    return () => {
      this.flush(emit);
      this.source.close();
      this.source = null;
    };
  }

  wish() {
    if (!this.source) this.wishes?.postMessage({ from: this.cursor() });
  }

  /** Read again from what this tab has. */
  resync() {
    if (this.source) this.source.open(this.cursor());
    else this.wish();
  }

  /** Events of one frame travel together; a hidden tab has no frames, and its timers are slow. */
  collect(event, emit) {
    this.batch.push(event);
    if (document.hidden) this.flush(emit);
    else this.frame ??= requestAnimationFrame(() => this.flush(emit));
  }

  flush(emit) {
    cancelAnimationFrame(this.frame);
    this.frame = undefined;
    const events = this.batch;
    this.batch = [];
    if (events.length) emit({ events });
  }

  changeVisibility() {
    clearTimeout(this.hiding);
    if (document.hidden) this.hiding = setTimeout(() => this.pause(), HIDDEN_MS);
    else this.start();
  }

  pause() {
    this.stream?.close();
    this.stream = null;
    this.wishes?.close();
    this.wishes = null;
  }

  close() {
    this.pause();
    clearTimeout(this.hiding);
    clearInterval(this.ticking);
    document.removeEventListener("visibilitychange", this.seen);
    window.removeEventListener("online", this.again);
    window.removeEventListener("pageshow", this.again);
  }
}
