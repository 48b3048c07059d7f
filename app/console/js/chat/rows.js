// What each row of a thread's log does to a conversation.

import { addMessages, discard } from "./merging.js";
import { resolveOutbox } from "./outbox.js";

const now = () => new Date().toISOString();

const OVER = new Set(["completed", "failed", "cancelled"]);

/** A run that is over stays so: the stream may tell again what came before its end. */
function withRun(state, id, change) {
  const known = state.runs[id];
  if (known && OVER.has(known.status) && change.status && !OVER.has(change.status)) return state;
  return { ...state, runs: { ...state.runs, [id]: { guardrails: [], ...known, id, ...change } } };
}

const withCall = (state, id, change) => ({
  ...state,
  calls: { ...state.calls, [id]: { ...state.calls[id], id, ...change } },
});

function addMessage(state, message, row) {
  const placed = message.seq === null ? { ...message, seq: row } : message;
  return resolveOutbox(addMessages(state, [placed]), [placed]);
}

const ROWS = {
  "run.queued": (state, event) => withRun(state, event.run_id, { status: "queued", position: event.position }),

  "run.started": (state, event, row) => {
    const started = withRun(state, event.run_id, {
      status: "running",
      attempt: event.attempt,
      started_at: state.runs[event.run_id]?.started_at ?? now(),
      created_at: state.runs[event.run_id]?.created_at ?? now(),
    });
    const gone = new Set(event.superseded ?? []);
    const messages = gone.size
      ? started.messages.map((message) => (gone.has(message.id) ? { ...message, superseded: true } : message))
      : started.messages;
    return addMessage({ ...started, messages }, event.user_message, row);
  },

  "message.completed": (state, event, row) => {
    const drafts = state.drafts.filter((draft) => draft.id !== event.message.id);
    const run = state.runs[event.run_id];
    const next = run?.retrying ? withRun(state, event.run_id, { retrying: null }) : state;
    return addMessage({ ...next, drafts }, event.message, row);
  },

  "tool.started": (state, event) => {
    const run = state.runs[event.run_id];
    const next = run?.status === "waiting" ? withRun(state, run.id, { status: "running" }) : state;
    if (state.calls[event.tool_call_id]?.state === "done") return next;
    return withCall(next, event.tool_call_id, {
      name: event.name,
      arguments: event.arguments,
      runId: event.run_id,
      state: "running",
      startedAt: state.calls[event.tool_call_id]?.startedAt ?? now(),
    });
  },

  "tool.completed": (state, event) => {
    const run = state.runs[event.run_id];
    const answered = (calls) => calls?.filter((call) => call.tool_call_id !== event.tool_call_id);
    const next = run
      ? withRun(state, run.id, { approvals: answered(run.approvals), clientCalls: answered(run.clientCalls) })
      : state;
    return withCall(next, event.tool_call_id, {
      name: event.name,
      runId: event.run_id,
      state: "done",
      result: event.result,
      isError: event.is_error,
      userId: event.user_id ?? null,
      finishedAt: state.calls[event.tool_call_id]?.finishedAt ?? now(),
    });
  },

  "run.waiting": (state, event) => {
    const { approvals = [], client_calls: clientCalls = [] } = event;
    let next = withRun(state, event.run_id, { status: "waiting", approvals, clientCalls });
    const open = (call) => next.calls[call.tool_call_id]?.state !== "done";
    for (const call of approvals.filter(open)) {
      next = withCall(next, call.tool_call_id, {
        name: call.name,
        arguments: call.arguments,
        runId: event.run_id,
        state: "approval",
        expiresAt: call.expires_at ?? null,
      });
    }
    for (const call of clientCalls.filter(open)) {
      next = withCall(next, call.tool_call_id, {
        name: call.name,
        arguments: call.arguments,
        runId: event.run_id,
        state: "client",
      });
    }
    return next;
  },

  "run.retrying": (state, event, row) => {
    const open = state.drafts.filter((draft) => draft.runId === event.run_id).map((draft) => draft.id);
    const next = discard(state, [...open, ...event.discard], row);
    const retrying = { attempt: event.attempt, reason: event.reason };
    return withRun(next, event.run_id, { status: "running", attempt: event.attempt, retrying });
  },

  "guardrail.triggered": (state, event) => {
    if (!event.run_id) return state;
    const { guardrail, stage, action } = event;
    const guardrails = [...(state.runs[event.run_id]?.guardrails ?? []), { guardrail, stage, action }];
    return withRun(state, event.run_id, { guardrails });
  },

  "context.compacted": (state, { summary, covers_through_seq }) => ({
    ...state,
    compacted: { summary, covers_through_seq },
  }),

  "run.completed": (state, event, row) => endRun(state, event, row),
  "run.cancelled": (state, event, row) => endRun(state, event, row),
  "run.failed": (state, event, row) => endRun(state, event, row),

  "thread.updated": (state, event) => ({ ...state, thread: { ...state.thread, ...event.thread } }),
  "thread.deleted": (state) => ({ ...state, deleted: true, drafts: [] }),
};

function endRun(state, event, row) {
  const open = state.drafts.filter((draft) => draft.runId === event.run_id).map((draft) => draft.id);
  const next = discard(state, [...open, ...(event.discard ?? [])], row);
  const calls = { ...next.calls };
  for (const call of Object.values(calls)) {
    if (call.runId === event.run_id && call.state !== "done") calls[call.id] = { ...call, state: "unanswered" };
  }
  const error = event.problem ?? event.run.error ?? null;
  const ended = { ...event.run, error, retrying: null, approvals: [], clientCalls: [], position: null };
  return resolveOutbox(withRun({ ...next, calls }, event.run_id, ended), []);
}

export function applyRow(state, event, row) {
  return ROWS[event.type]?.(state, event, row) ?? state;
}
