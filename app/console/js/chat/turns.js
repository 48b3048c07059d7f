// A conversation as it is read: what people said, answers (of one run, with their tools), and what to know between them.
// Entries that have not changed stay the same objects, so that only what changed is drawn.

const same = (a, b) => a.length === b.length && a.every((value, index) => value === b[index]);
const OVER = new Set(["completed", "failed", "cancelled"]);

/** A function that gives the entries of a conversation, and remembers those it gave before. */
export function turnReader() {
  let known = new Map();
  let settled = null;
  return (state) => {
    const { messages, runs, calls, gap, compacted } = state;
    const inputs = [messages, runs, calls, gap, compacted];
    if (!settled || !same(settled.inputs, inputs)) {
      const made = settledTurns(state);
      const next = new Map();
      const entries = made.map((entry) => {
        const old = known.get(entry.key);
        const kept = old && same(old.facts, entry.facts) ? old : entry;
        next.set(entry.key, kept);
        return kept;
      });
      known = next;
      settled = { inputs, entries };
    }
    return state.drafts.length ? withDrafts(settled.entries, state) : settled.entries;
  };
}

// The same key for an answer before its first word, while it is written, and afterwards.
const answerKey = (runId, nth) => `answer-${runId}-${nth}`;

function settledTurns(state) {
  const entries = [];
  const { runs, calls } = state;
  const shownRuns = new Map(); // run → how many answers of it there are
  const keyOf = (message) => {
    const nth = shownRuns.get(message.run_id) ?? 0;
    shownRuns.set(message.run_id, nth + 1);
    return message.run_id ? answerKey(message.run_id, nth) : `answer-${message.id}`;
  };
  let answer = null;
  const close = () => {
    if (answer) {
      answer.facts = [...answer.messages, runs[answer.runId], ...callsOf(answer.messages, calls)];
      answer.calls = calls;
    }
    answer = null;
  };
  for (const message of state.messages) {
    if (message.id === state.gap) {
      close();
      const before = entries.at(-1)?.key ?? null;
      entries.push({ kind: "gap", key: "gap", seq: message.seq, facts: [message.id, before] });
    }
    if (message.role === "user") {
      close();
      entries.push({ kind: "user", key: message.id, seq: message.seq, message, facts: [message] });
    } else if (answer && answer.runId === message.run_id && answer.superseded === Boolean(message.superseded)) {
      answer.messages.push(message);
    } else {
      close();
      answer = { kind: "answer", key: keyOf(message), seq: message.seq, runId: message.run_id, run: runs[message.run_id], messages: [message], drafts: [], superseded: Boolean(message.superseded) };
      entries.push(answer);
    }
  }
  close();
  return withEnds(entries, runs, shownRuns);
}

const callsOf = (messages, calls) =>
  messages.flatMap((message) => message.parts.filter((part) => part.type === "tool_call").map((part) => calls[part.tool_call_id]));

/** Runs that said nothing: one that failed before its first word, say. They stand after what they were to answer. */
function withEnds(entries, runs, shown) {
  const result = [];
  const lastOf = new Map();
  for (const entry of entries) if (entry.kind === "user" && entry.message.run_id) lastOf.set(entry.message.run_id, entry);
  for (const entry of entries) {
    result.push(entry);
    const run = entry.kind === "user" && lastOf.get(entry.message.run_id) === entry ? runs[entry.message.run_id] : null;
    if (!run || shown.has(run.id) || run.status === "queued") continue;
    result.push({ kind: "answer", key: answerKey(run.id, 0), seq: entry.seq, runId: run.id, run, messages: [], drafts: [], superseded: false, calls: {}, facts: [run] });
  }
  return result;
}

function withDrafts(entries, state) {
  const result = [...entries];
  for (const draft of state.drafts) {
    const index = result.findLastIndex((entry) => entry.kind === "answer" && entry.runId === draft.runId && !entry.superseded);
    const steered = result.at(-1)?.kind === "user" && index >= 0 && result[index].messages.length > 0;
    if (index >= 0 && !steered) {
      result[index] = { ...result[index], drafts: [...result[index].drafts, draft] };
    } else {
      const run = state.runs[draft.runId];
      const nth = result.filter((entry) => entry.kind === "answer" && entry.runId === draft.runId).length;
      result.push({ kind: "answer", key: answerKey(draft.runId, nth), seq: state.row + 1, runId: draft.runId, run, messages: [], drafts: [draft], superseded: false, calls: state.calls });
    }
  }
  return result;
}

/** The newest run that is over or under way, which alone can be retried; null where there is none. */
export function lastRun(state) {
  let last = null;
  for (const run of Object.values(state.runs)) {
    if (run.status !== "queued" && run.created_at && (!last || run.created_at > last.created_at)) last = run;
  }
  return last;
}

export const isOver = (run) => OVER.has(run?.status);

/** Whether more than one person writes here, so that each message tells whose it is. */
export function hasOthers(state) {
  return state.messages.some((message) => message.role === "user" && message.user_id !== state.me);
}

/** Entries in groups of neighbours that stay together when others come before or after them. */
export function grouped(entries, size = 48) {
  const groups = [];
  for (const entry of entries) {
    const key = Math.floor((entry.seq ?? 0) / size);
    if (groups.at(-1)?.key === key) groups.at(-1).entries.push(entry);
    else groups.push({ key, entries: [entry] });
  }
  return groups;
}
