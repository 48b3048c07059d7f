// Putting messages into a conversation, and taking void ones out.

const byPlace = (a, b) => (a.seq ?? Infinity) - (b.seq ?? Infinity);

/** What a message of a tool says, as the state of its calls. */
function callsOf(message, calls) {
  for (const part of message.parts) {
    if (part.type === "tool_result") {
      calls[part.tool_call_id] = {
        ...calls[part.tool_call_id],
        id: part.tool_call_id,
        name: part.name,
        runId: message.run_id,
        state: "done",
        result: part.result,
        isError: part.is_error ?? false,
        finishedAt: message.created_at,
      };
    } else if (part.type === "tool_call") {
      calls[part.tool_call_id] = {
        state: "unanswered",
        startedAt: message.created_at,
        ...calls[part.tool_call_id],
        id: part.tool_call_id,
        runId: message.run_id,
        name: part.name,
        arguments: part.arguments,
      };
    }
  }
}

/** The conversation with these messages, each once and in its place; a newer form of one replaces the older. */
export function addMessages(state, incoming) {
  const calls = { ...state.calls };
  const fresh = [];
  for (const message of incoming) {
    callsOf(message, calls);
    if (message.role !== "tool") fresh.push(message);
  }
  const last = state.messages.at(-1);
  const one = fresh.length === 1 ? fresh[0] : null;
  if (one && (!last || (last.seq < one.seq && !state.messages.some((message) => message.id === one.id)))) {
    return { ...state, calls, messages: [...state.messages, one] };
  }
  const byId = new Map(state.messages.map((message) => [message.id, message]));
  for (const message of fresh) {
    const known = byId.get(message.id);
    const superseded = message.superseded ?? known?.superseded;
    const feedback = message.feedback ?? known?.feedback; // events do not tell it
    byId.set(message.id, superseded || feedback ? { ...message, superseded, feedback } : message);
  }
  return { ...state, calls, messages: [...byId.values()].sort(byPlace) };
}

/** The conversation without the text in progress of these messages, which the row made void. */
export function discard(state, ids, row) {
  if (!ids.length) return state;
  const voided = { ...state.voided };
  for (const id of ids) voided[id] = row;
  return { ...state, voided, drafts: state.drafts.filter((draft) => !ids.includes(draft.id)) };
}
