// Pages of a thread's history, put into a conversation.

import { addMessages } from "./merging.js";
import { resolveOutbox } from "./outbox.js";

const addRuns = (state, runs) => {
  const all = { ...state.runs };
  for (const run of runs) {
    // What the stream has told is newer than a list that was asked for before.
    const known = all[run.id];
    const over = known && ["completed", "failed", "cancelled"].includes(known.status);
    all[run.id] = { guardrails: [], ...run, ...(over || known?.approvals ? known : {}) };
  }
  return { ...state, runs: all };
};

const KEPT_MS = 20 * 3600_000; // events are there for a day at least; the clocks here and there may differ

/** The end of the thread, as it was when it was opened; `row` is where the stream begins. `isGone`: events may be gone. */
export function openAtEnd(state, { thread, messages, runs, hasOlder, isGone = false }) {
  const next = addRuns(addMessages({ ...state, thread, hasOlder }, messages), runs);
  const calls = { ...next.calls };
  for (const call of Object.values(calls)) {
    const run = next.runs[call.runId];
    if (call.state === "unanswered" && run?.status === "running") calls[call.id] = { ...call, state: "running" };
  }
  return resolveOutbox({ ...next, calls, row: Math.max(next.row, beginOf(messages, runs, isGone)) }, messages);
}

/**
 * The row before the last thing that a person said here: from there on the stream tells everything again. Where all is
 * over and its events may be gone, the row of the newest message, after which they never are.
 */
function beginOf(messages, runs, isGone) {
  const newest = messages.reduce((last, message) => ((message.seq ?? 0) > (last?.seq ?? 0) ? message : last), null);
  const isOver = newest && !runs.some(({ status }) => ["queued", "running", "waiting"].includes(status));
  if (isOver && (isGone || Date.now() - Date.parse(newest.created_at) > KEPT_MS)) return newest.seq;
  const rows = messages.filter((message) => message.role === "user" && message.seq !== null);
  const last = rows.length ? Math.max(...rows.map((message) => message.seq)) : null;
  if (last !== null) return last - 1;
  const seqs = messages.map((message) => message.seq).filter((seq) => seq !== null);
  return seqs.length ? Math.min(...seqs) - 1 : 0;
}

/** A page of what was said before. */
export const addOlder = (state, { messages, runs = [], hasOlder }) =>
  addRuns(addMessages({ ...state, hasOlder }, messages), runs);

/** A page from the middle of the thread; between it and the end messages may be missing. */
export function addAround(state, { messages, hasOlder, hasNewer }) {
  const known = new Set(state.messages.map((message) => message.id));
  const first = state.messages[0];
  const touches = !first || messages.some((message) => known.has(message.id)) || !hasNewer;
  const merged = addMessages(state, messages);
  const older = messages.some((message) => message.seq === merged.messages[0]?.seq) ? hasOlder : state.hasOlder;
  return { ...merged, hasOlder: older, gap: touches ? null : first.id };
}

/** A page that fills the gap from its beginning. */
export function fillGap(state, { messages, hasNewer }) {
  const known = new Set(state.messages.map((message) => message.id));
  const closed = !hasNewer || messages.some((message) => known.has(message.id));
  return { ...addMessages(state, messages), gap: closed ? null : state.gap };
}
