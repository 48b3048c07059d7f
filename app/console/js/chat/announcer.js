// What arrives, spoken in whole sentences. Nothing of what stood there at the beginning.

import { html, useEffect, useState } from "../../vendor/preact.js";

const KEPT = 12;
const SENTENCE_END = /[.!?。！？؟…](?=\s|$)|\n/g;

/** The text without its marks; signs that are part of a word, of a sum or of code stay. */
export function spoken(markdown) {
  return markdown
    .replace(/```[^]*?(?:```|$)/g, " Code. ")
    .split(/`+([^`]+)`+/)
    .map((part, at) => (at % 2 ? part : withoutMarks(part)))
    .join("")
    .replace(/\s+/g, " ")
    .trim();
}

function withoutMarks(text) {
  return text
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/^\s*(?:#{1,6}\s|>)+/gm, "")
    .replace(/(?<!\w)(?:[*_]+|~~)(?=\S)|(?<=\S)(?:[*_]+|~~)(?!\w)|\|/g, "");
}

/** Where the last whole sentence of the text ends; inside of code there is none. */
export function sentencesEnd(text) {
  const fences = [...text.matchAll(/^```/gm)];
  const reach = fences.length % 2 ? fences.at(-1).index : text.length;
  let end = 0;
  for (const found of text.slice(0, reach).matchAll(SENTENCE_END)) end = found.index + found[0].length;
  return end;
}

class Speaker {
  constructor(state) {
    this.said = new Map(state.messages.map((message) => [message.id, Infinity]));
    this.runs = new Map(Object.values(state.runs).map((run) => [run.id, run.status]));
  }

  /** What is new to say. */
  listen(state, me) {
    const words = [];
    const say = (text) => text && words.push(text);
    const upTo = (id, text, end) => {
      const from = this.said.get(id) ?? 0;
      if (end > from) say(spoken(text.slice(from, end)));
      this.said.set(id, Math.max(from, end));
    };
    for (const draft of state.drafts) upTo(draft.id, draft.text, sentencesEnd(draft.text));
    for (const message of state.messages.slice(-20)) {
      if (this.said.get(message.id) === Infinity) continue;
      if (message.role === "assistant") upTo(message.id, message.content, message.content.length);
      else if (message.user_id !== me) say(`${message.user_id}: ${spoken(message.content)}`);
      this.said.set(message.id, Infinity);
    }
    for (const run of Object.values(state.runs)) {
      if (this.runs.get(run.id) === run.status) continue;
      this.runs.set(run.id, run.status);
      if (run.status === "waiting" && run.approvals?.length) say(`The agent asks to use ${run.approvals.map((call) => call.name).join(", ")}. Your approval is wanted.`);
      else if (run.status === "cancelled") say("Stopped.");
    }
    return words;
  }
}

export default function Announcer({ thread }) {
  const [lines, setLines] = useState([]);
  useEffect(() => {
    const now = thread.store.get();
    let speaker = now.loading === "start" ? null : new Speaker(now.conversation);
    let count = 0;
    return thread.store.subscribe(({ conversation, loading }) => {
      if (loading === "start") return;
      if (!speaker) {
        speaker = new Speaker(conversation);
        return;
      }
      const words = speaker.listen(conversation, thread.me);
      if (words.length) setLines((all) => [...all, ...words.map((text) => ({ key: ++count, text }))].slice(-KEPT));
    });
  }, [thread]);
  return html`<div class="visually-hidden" role="log" aria-live="polite" aria-label="What is being said">
    ${lines.map(({ key, text }) => html`<p key=${key} dir="auto">${text}</p>`)}
  </div>`;
}
