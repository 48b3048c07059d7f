// What a request is made of, as numbers, and a thread as a row of messages, sent and left out.

/** The sizes of a request's pieces. The service says the total and each message; system prompt and tools share the rest by their lengths. */
export function piecesOf(context) {
  const summaryTokens = context.messages.find((message) => isSummary(context, message))?.tokens ?? 0;
  const messages = context.messages.reduce((sum, each) => sum + each.tokens, 0) - summaryTokens;
  const rest = Math.max(0, context.tokens.total - messages - summaryTokens);
  const systemLength = context.system?.length ?? 0;
  const toolsLength = context.tools?.length ? JSON.stringify(context.tools).length : 0;
  const hidden = context.system === null && context.tools === null;
  const ofTools = systemLength + toolsLength ? Math.round((rest * toolsLength) / (systemLength + toolsLength)) : 0;
  const left = Math.max(0, context.tokens.budget - context.tokens.total);
  return [
    { id: "system", name: hidden ? "System prompt and tools" : "System prompt", tokens: rest - ofTools },
    { id: "tools", name: "Tools", tokens: ofTools },
    { id: "summary", name: "Summary", tokens: summaryTokens },
    { id: "messages", name: "Messages", tokens: messages },
    { id: "left", name: "Free", tokens: left },
    { id: "answer", name: "Kept for the answer", tokens: Math.max(0, context.tokens.window - context.tokens.budget) },
  ].filter(({ id, tokens }) => tokens > 0 || id === "messages");
}

/** Whether a message of the request is the summary of what stood before. */
export const isSummary = (context, message) => message.seq === null && Boolean(context.summary) && textOf(message).includes(context.summary);

/** The thread from its beginning to now: what is sent and what is left out, in order. */
export function timelineOf(context) {
  const sent = context.messages.map((message, index) => ({ ...message, sent: true, key: `sent-${index}` }));
  const out = context.left_out.map((message) => ({ ...message, sent: false, key: `out-${message.seq}` }));
  const entries = [];
  let waiting = [...out].sort((a, b) => a.seq - b.seq);
  for (const message of sent) {
    if (message.seq !== null) {
      entries.push(...waiting.filter(({ seq }) => seq < message.seq));
      waiting = waiting.filter(({ seq }) => seq > message.seq);
    }
    entries.push(message);
  }
  return [...entries, ...waiting];
}

/** The same with neighbours that are left out for one reason as one group. */
export function groupsOf(timeline) {
  const groups = [];
  for (const entry of timeline) {
    const last = groups.at(-1);
    if (!entry.sent && last && !last.sent && last.reason === entry.reason) last.entries.push(entry);
    else groups.push(entry.sent ? entry : { sent: false, reason: entry.reason, key: `group-${entry.seq}`, entries: [entry] });
  }
  return groups;
}

/** The text of a message in a line. */
export function textOf(message) {
  return message.parts.map((part) => {
    switch (part.type) {
      case "text":
      case "reasoning":
        return part.text;
      case "tool_call":
        return `${part.name}(${JSON.stringify(part.arguments)})`;
      case "tool_result":
        return typeof part.result === "string" ? part.result : JSON.stringify(part.result);
      case "file":
        return part.filename;
      default:
        return "";
    }
  }).join("\n");
}
