// What people think of an answer.

import { html, useState } from "../../vendor/preact.js";
import { toProblem } from "../api.js";
import { IconButton } from "../ui/button.js";
import { toast } from "../ui/toast.js";
import { Lazy } from "../ui/lazy.js";

// Only the agent's owners may read what was said, so the page remembers what was said here.
const given = new Map();

export function Feedback({ messageId, thread }) {
  const [rating, setRating] = useState(given.get(messageId) ?? null);
  const [asking, setAsking] = useState(false);
  const rate = async (value, comment) => {
    const next = value === rating && comment === undefined ? null : value;
    await thread.rate(messageId, next, comment);
    given.set(messageId, next);
    setRating(next);
  };
  const press = (value) =>
    rate(value).then(
      () => value === -1 && rating !== -1 && setAsking(true),
      (error) => toast(toProblem(error).message, { kind: "danger" }),
    );
  return html`
    <${IconButton} size="small" icon="thumbs-up" label="Good answer" aria-pressed=${String(rating === 1)} onClick=${() => press(1)} />
    <${IconButton} size="small" icon="thumbs-down" label="Bad answer" aria-pressed=${String(rating === -1)} onClick=${() => press(-1)} />
    ${asking && html`<${Lazy} load=${() => import("./feedback_dialog.js")} onClose=${() => setAsking(false)} onSend=${(comment) => rate(-1, comment)} />`}`;
}
