// What was sent from here and does not stand in the history yet: being sent, waiting for its turn, or failed.

/** The conversation without what has arrived: a message of ours with the same run, or with the same text. */
export function resolveOutbox(state, arrived) {
  if (!state.outbox.length) return state;
  const left = [...state.outbox];
  for (const message of arrived) {
    if (message.role !== "user" || message.user_id !== state.me) continue;
    const fits = (entry) => message.seq > entry.afterRow;
    let index = left.findIndex((entry) => fits(entry) && entry.text === message.content && sameRun(entry, message));
    if (index < 0) index = left.findIndex((entry) => fits(entry) && entry.runId && entry.runId === message.run_id);
    if (index >= 0) left.splice(index, 1);
  }
  return left.length === state.outbox.length ? state : { ...state, outbox: left };
}

const sameRun = (entry, message) => !entry.runId || entry.runId === message.run_id;

/** A message leaves: `entry` is {key, text, files, mode}. */
export function send(state, entry) {
  const others = state.outbox.filter((other) => other.key !== entry.key);
  const afterRow = entry.afterRow ?? state.row;
  return { ...state, outbox: [...others, { ...entry, afterRow, state: "sending", problem: null, runId: null }] };
}

const change = (state, key, values) => ({
  ...state,
  outbox: state.outbox.map((entry) => (entry.key === key ? { ...entry, ...values } : entry)),
});

/** The service has taken it: `run` answers it, or waits to. */
export function sent(state, key, run) {
  const entry = state.outbox.find((other) => other.key === key);
  const runs = state.runs[run.id] ? state.runs : { ...state.runs, [run.id]: { guardrails: [], ...run } };
  if (!entry) return { ...state, runs };
  const next = change({ ...state, runs }, key, { state: "sent", runId: run.id });
  const mine = state.messages.filter((message) => message.run_id === run.id && message.seq > entry.afterRow);
  return resolveOutbox(next, mine);
}

export const notSent = (state, key, problem) => change(state, key, { state: "failed", problem });

export const takeBack = (state, key) => ({ ...state, outbox: state.outbox.filter((entry) => entry.key !== key) });
