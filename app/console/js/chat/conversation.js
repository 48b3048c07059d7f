// What a conversation is, as one value: `applyEvent(state, event)` for each event of the contract, `applyHistory` for
// pages of it. Both are pure, and may be given the same thing twice: rows are told apart by their number, pieces of text
// by where they begin. So any stream, of any tab, from any place, leads to the same state.

import { applyRow } from "./rows.js";

/** An event's place in the thread's log: `id` is "<row>-<position>". */
export function placeOf(id) {
  const [row, position] = String(id ?? "").split("-");
  return { row: Number(row) || 0, position: Number(position) || 0 };
}

export function newConversation(threadId, me) {
  return {
    threadId,
    me,
    thread: null,
    deleted: false,
    row: 0, // the last row of the log that is in here
    messages: [], // users' and assistants', by their place; what tools said is in `calls`
    drafts: [], // messages in progress: {id, runId, text, points, reasoning, reasoningPoints}
    runs: {}, // by id, as the API tells of them, with {approvals, clientCalls, retrying, position, guardrails}
    calls: {}, // by tool_call_id: {name, arguments, state, result, isError, startedAt, finishedAt, expiresAt, userId}
    outbox: [], // what was sent here and is not in the history yet
    voided: {}, // message id → the row that made its text void
    compacted: null, // {summary, covers_through_seq}
    missing: false, // a piece of text was missed: read again from the last row
    hasOlder: false,
    gap: null, // id of the message before which messages are missing
  };
}

const codePoints = (text) => {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
};

function withoutPoints(text, count) {
  let index = 0;
  for (let n = 0; n < count && index < text.length; n += 1) index += text.codePointAt(index) > 0xffff ? 2 : 1;
  return text.slice(index);
}

/** The text with a piece that begins at `offset`; null where something between them is missing. */
export function joinPiece(text, points, piece, offset) {
  if (offset > points) return null;
  const rest = offset === points ? piece : withoutPoints(piece, points - offset);
  return { text: text + rest, points: points + codePoints(rest) };
}

const isVoid = (state, id, row) => id in state.voided && row < state.voided[id];

function draftOf(state, event) {
  return (
    state.drafts.find((draft) => draft.id === event.message_id) ?? {
      id: event.message_id,
      runId: event.run_id,
      text: "",
      points: 0,
      reasoning: "",
      reasoningPoints: 0,
    }
  );
}

function applyPreview(state, event) {
  const { row } = placeOf(event.id);
  const known = state.messages.some((message) => message.id === event.message_id);
  if (known || isVoid(state, event.message_id, row)) return state;
  const run = state.runs[event.run_id];
  if (run && ["completed", "failed", "cancelled"].includes(run.status)) return state;
  let draft = draftOf(state, event);
  if (event.type !== "message.started") {
    const [text, points] = event.type === "message.delta" ? ["text", "points"] : ["reasoning", "reasoningPoints"];
    const joined = joinPiece(draft[text], draft[points], event.text, event.offset);
    if (joined === null) return state.missing ? state : { ...state, missing: true };
    draft = { ...draft, [text]: joined.text, [points]: joined.points };
  }
  const others = state.drafts.filter((other) => other.id !== draft.id);
  const runs = run?.retrying ? { ...state.runs, [run.id]: { ...run, retrying: null } } : state.runs;
  return { ...state, drafts: [...others, draft], runs };
}

const PREVIEWS = new Set(["message.started", "message.delta", "reasoning.delta"]);

/** The conversation after this event of the thread's stream; `event.id` is the one of its frame. */
export function applyEvent(state, event) {
  if (PREVIEWS.has(event.type)) return applyPreview(state, event);
  const { row } = placeOf(event.id);
  if (row <= state.row) return state;
  return applyRow({ ...state, row }, event, row);
}

/** From which id on the stream is to be read so that nothing is missing. */
export const resumeFrom = (state) => `${state.row}-0`;

/** The conversation with text in progress dropped: it comes again from `resumeFrom`. */
export const withoutDrafts = (state) => ({ ...state, drafts: [], missing: false });

export const activeRun = (state) =>
  Object.values(state.runs).find((run) => run.status === "running" || run.status === "waiting") ?? null;

export const queuedRuns = (state) =>
  Object.values(state.runs)
    .filter((run) => run.status === "queued")
    .sort((a, b) => (a.created_at ?? "").localeCompare(b.created_at ?? ""));
