// One open thread: its conversation as it is, and what can be done in it. Sessions outlive views, so that going to another
// thread and back, or from the new chat to its thread, loses nothing.

import { api, newKey, toProblem } from "../api.js";
import { onSessionEnd, session, sessionStore } from "../session.js";
import { createStore } from "../signals.js";
import { ThreadStream } from "../live/thread_streams.js";
import { applyEvent, newConversation, resumeFrom, withoutDrafts } from "./conversation.js";
import { forgetDrafts, loadDraft, saveDraft } from "./drafts.js";
import { addAround, addOlder, fillGap, openAtEnd } from "./history.js";
import { notSent, send, sent, takeBack } from "./outbox.js";
import { rightsOn } from "../threads/rights.js";

const PAGE = 50;
const KEPT_MS = 30_000;
const ROLE_MS = 3_000; // a role that lets one write is looked at so often at most
// Ratings have no event: the tabs of a browser tell each other.
const ratings = "BroadcastChannel" in window ? new BroadcastChannel("ai-agents.ratings") : null;
const RETRIES_MS = [600, 2_000];
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class ThreadSession {
  constructor(threadId) {
    this.threadId = threadId;
    this.path = `/threads/${threadId}`;
    this.me = session.me.user_id;
    /** `{conversation, problem, connection, loading}`; loading is start, older, gap or null. */
    this.store = createStore({ conversation: newConversation(threadId, this.me), problem: null, connection: "connecting", loading: "start" });
    this.users = 0;
    this.lookedAt = 0;
    this.older = null;
    this.gapNext = null;
    this.runsNext = null;
  }

  get conversation() {
    return this.store.get().conversation;
  }

  change(make) {
    this.store.set((state) => {
      const conversation = make(state.conversation);
      return conversation === state.conversation ? state : { ...state, conversation };
    });
    this.keepOutbox();
  }

  set(values) {
    this.store.set((state) => ({ ...state, ...values }));
  }

  /** Load the end of the thread, and around a message where one is wanted; then follow it. */
  open(messageId) {
    this.opening ??= this.load().then(() => this.follow());
    return messageId ? this.opening.then(() => this.show(messageId)) : this.opening;
  }

  /** Where this was refused, or ended, for want of a right: try again. */
  readAgain() {
    const { problem, connection } = this.store.get();
    if (problem && !this.conversation.thread) this.open().catch(() => {});
    else if (connection === "gone") {
      this.stream?.resync();
      this.lookedAt = 0; // the right that is back may be another one
      this.lookAtRole();
    } else if (this.conversation.thread?.role !== "owner") this.lookAtRole();
  }

  /** Learn anew which role this person has here: others may have given another one. */
  lookAtRole() {
    if (session.isAdmin || !this.conversation.thread) return;
    const wait = rightsOn(this.conversation.thread).write ? this.lookedAt + ROLE_MS - Date.now() : 0;
    this.looking ??= setTimeout(async () => {
      this.lookedAt = Date.now();
      this.looking = null;
      const { role, agent_role } = await api.get(this.path).catch(() => this.conversation.thread);
      this.change((state) => ({ ...state, thread: { ...state.thread, role, agent_role } }));
    }, Math.max(wait, 0));
  }

  async load({ quiet = false } = {}) {
    if (!quiet) this.set({ loading: "start", problem: null });
    try {
      const [thread, page, runs] = await Promise.all([
        api.get(this.path),
        api.get(`${this.path}/messages`, { order: "desc", limit: PAGE }),
        api.get(`${this.path}/runs`, { limit: PAGE }),
      ]);
      this.older = page.next;
      this.runsNext = runs.next;
      this.change((state) => {
        const fresh = { ...newConversation(this.threadId, this.me), outbox: state.outbox };
        return openAtEnd(fresh, { thread, messages: page.data, runs: runs.data, hasOlder: page.next !== null, isGone: quiet });
      });
      this.restoreOutbox();
      this.lookedAt = Date.now();
      this.set({ loading: null });
    } catch (error) {
      if (!quiet) {
        this.opening = null;
        this.set({ loading: null, problem: toProblem(error) });
      }
      throw error;
    }
  }

  follow() {
    if (this.stream || this.closed) return;
    this.stream = new ThreadStream(this.threadId, this.me, {
      cursor: () => resumeFrom(this.conversation),
      deliver: (events) => this.deliver(events),
      onState: (connection) => this.connectionIs(connection),
    });
  }

  deliver(events) {
    this.change((state) => events.reduce(applyEvent, state));
    if (!this.conversation.missing) return;
    this.change(withoutDrafts);
    this.stream.resync();
  }

  async connectionIs(connection) {
    this.set({ connection: connection === "stale" ? "connecting" : connection });
    if (connection !== "stale" || this.reloading) return;
    this.reloading = true;
    await this.load({ quiet: true }).then(() => this.stream?.resync(), () => {});
    this.reloading = false;
  }

  // Reading

  async loadOlder() {
    if (!this.older || this.store.get().loading) return;
    this.set({ loading: "older" });
    try {
      const wanted = [api.get(`${this.path}/messages`, { order: "desc", limit: PAGE, after: this.older })];
      if (this.runsNext) wanted.push(api.get(`${this.path}/runs`, { limit: PAGE, after: this.runsNext }));
      const [page, runs] = await Promise.all(wanted);
      this.older = page.next;
      this.runsNext = runs?.next ?? null;
      this.change((state) => addOlder(state, { messages: page.data, runs: runs?.data, hasOlder: page.next !== null }));
      this.set({ loading: null });
    } catch (error) {
      this.set({ loading: null, problem: toProblem(error) });
    }
  }

  /** Have this message in the conversation. */
  async show(messageId) {
    if (this.conversation.messages.some((message) => message.id === messageId)) return;
    this.set({ loading: "gap" });
    try {
      const [before, after] = await Promise.all(
        ["desc", "asc"].map((order) => api.get(`${this.path}/messages`, { around: messageId, limit: PAGE, order })),
      );
      this.older = before.next;
      this.gapNext = after.next;
      const messages = [...before.data, ...after.data];
      this.change((state) => addAround(state, { messages, hasOlder: before.next !== null, hasNewer: after.next !== null }));
      this.set({ loading: null });
    } catch (error) {
      this.set({ loading: null, problem: toProblem(error) });
    }
  }

  async loadGap() {
    if (!this.gapNext || this.store.get().loading) return;
    this.set({ loading: "gap" });
    try {
      const page = await api.get(`${this.path}/messages`, { limit: PAGE, after: this.gapNext });
      this.gapNext = page.next;
      this.change((state) => fillGap(state, { messages: page.data, hasNewer: page.next !== null }));
      this.set({ loading: null });
    } catch (error) {
      this.set({ loading: null, problem: toProblem(error) });
    }
  }

  // Saying

  /** Send a message; `files` are those that were uploaded. `mode`: reject, queue, steer or interrupt. */
  say(text, files = [], mode = "queue") {
    return this.leave({ key: newKey(), text, files, mode });
  }

  sayAgain(key) {
    const entry = this.conversation.outbox.find((other) => other.key === key);
    return entry && this.leave(entry);
  }

  async leave(entry) {
    this.change((state) => send(state, entry));
    const body = { content: entry.text, on_busy: entry.mode };
    if (entry.files.length) body.attachments = entry.files.map((file) => file.id);
    try {
      const run = await this.post(`${this.path}/messages`, body, entry.key);
      this.change((state) => sent(state, entry.key, run));
    } catch (error) {
      const problem = toProblem(error);
      this.change((state) => notSent(state, entry.key, problem));
      if (problem.status === 403) this.lookAtRole();
    }
  }

  /** A POST that may be repeated, since its key makes it count once. */
  async post(path, body, key) {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await api.post(path, body, { key, headers: { prefer: "respond-async" } });
      } catch (error) {
        const problem = toProblem(error);
        const passing = problem.code === "unreachable" || problem.status === 503;
        if (!passing || attempt >= RETRIES_MS.length) throw problem;
        await pause(RETRIES_MS[attempt]);
      }
    }
  }

  takeBack(key) {
    this.change((state) => takeBack(state, key));
  }

  keepOutbox() {
    const { outbox } = this.conversation;
    if (outbox === this.keptOutbox) return;
    this.keptOutbox = outbox;
    saveDraft(this.me, this.threadId, { outbox: outbox.map(({ problem, ...entry }) => entry) });
  }

  /** What an earlier visit sent: still waiting, or not known to have arrived. */
  restoreOutbox() {
    const known = new Set(this.conversation.outbox.map((entry) => entry.key));
    const runs = this.conversation.runs;
    for (const entry of loadDraft(this.me, this.threadId).outbox) {
      if (known.has(entry.key)) continue;
      const status = entry.runId ? (runs[entry.runId]?.status ?? "completed") : null;
      if (status && !["queued", "running", "waiting"].includes(status)) continue;
      const arrived = this.conversation.messages.some(
        (message) => message.role === "user" && message.seq > entry.afterRow && message.content === entry.text,
      );
      if (arrived) continue;
      this.change((state) => ({ ...state, outbox: [...state.outbox, entry] }));
      // The same key: the service knows whether it has it already.
      if (!entry.runId) this.leave(entry);
    }
  }

  // Deciding

  stop(runId) {
    return api.post(`${this.path}/runs/${runId}/cancel`);
  }

  retry(runId) {
    return this.post(`${this.path}/runs/${runId}/retry`, {}, newKey());
  }

  decide(runId, toolCallId, approved, reason) {
    const body = { tool_call_id: toolCallId, approved, ...(reason ? { reason } : {}) };
    return api.post(`${this.path}/runs/${runId}/approvals`, body);
  }

  async rate(messageId, rating, comment) {
    await api.put(`${this.path}/messages/${messageId}/feedback`, { rating, ...(comment ? { comment } : {}) });
    const rated = { threadId: this.threadId, user: this.me, messageId, feedback: { rating, comment: comment || null } };
    this.rated(rated);
    ratings?.postMessage(rated);
  }

  rated({ messageId, feedback }) {
    this.change((state) => ({
      ...state,
      messages: state.messages.map((message) => (message.id === messageId ? { ...message, feedback } : message)),
    }));
  }

  /** A new thread with the history up to this message; its id. */
  async fork(messageId) {
    return (await api.post(`${this.path}/fork`, { message_id: messageId }, { key: newKey() })).id;
  }

  /** The message said otherwise, in a new thread with what came before it; its id. */
  async edit(message, text) {
    const before = this.conversation.messages.filter((other) => other.seq < message.seq && !other.superseded).at(-1);
    const agentId = this.conversation.thread.agent_id;
    const threadId = before ? await this.fork(before.id) : (await api.post("/threads", { agent_id: agentId }, { key: newKey() })).id;
    const files = message.parts.filter((part) => part.type === "file" && !part.deleted).map((part) => ({ ...part, id: part.file_id }));
    openThread(threadId).say(text, files);
    return threadId;
  }

  // Being open

  use() {
    this.users += 1;
    clearTimeout(this.closing);
    return () => {
      this.users -= 1;
      if (this.users === 0) this.closing = setTimeout(() => this.close(), KEPT_MS);
    };
  }

  close() {
    this.closed = true;
    this.stream?.close();
    this.stream = null;
    if (sessions.get(this.threadId) === this) sessions.delete(this.threadId);
  }
}

const sessions = new Map();

/** The session of a thread, the same one for all who use it. */
export function openThread(threadId) {
  if (!sessions.has(threadId)) sessions.set(threadId, new ThreadSession(threadId));
  return sessions.get(threadId);
}

ratings?.addEventListener("message", ({ data }) => {
  const open = sessions.get(data.threadId);
  if (open?.me === data.user) open.rated(data);
});

onSessionEnd(() => {
  for (const open of [...sessions.values()]) open.close();
  // A person who signs out leaves; a key that has ended is followed by another one.
  const { state, problem } = sessionStore.get();
  if (state === "out" && !problem) forgetDrafts();
});
