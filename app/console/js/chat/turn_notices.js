// What to know of how an answer came about. Loaded when there is something.

import { html } from "../../vendor/preact.js";
import { Icon } from "../ui/icon.js";
import { guardrailWords, noticeWords, stopWords, URGENT } from "./run_words.js";

export default function Notices({ run }) {
  const words = [
    ...(run.guardrails ?? []).map(guardrailWords),
    ...(run.notices ?? []).filter((notice) => URGENT.has(notice.code)).map(noticeWords),
    ...[run.status === "completed" ? stopWords(run.stop_reason) : null].filter(Boolean),
  ];
  return [...new Set(words)].map((text) => html`<p key=${text} class="turn-note"><${Icon} name="info" size="small" /><span dir="auto">${text}</span></p>`);
}
