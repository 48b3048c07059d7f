// What people think of an answer.

import { html, useState } from "../../vendor/preact.js";
import { toProblem } from "../api.js";
import { IconButton } from "../ui/button.js";
import { toast } from "../ui/toast.js";
import { Lazy } from "../ui/lazy.js";

export function Feedback({ message, thread }) {
  const rating = message.feedback?.rating ?? null;
  const [asking, setAsking] = useState(false);
  const rate = (value, comment) => thread.rate(message.id, value === rating && comment === undefined ? null : value, comment);
  const press = (value) =>
    rate(value).then(
      () => value === -1 && rating !== -1 && setAsking(true),
      (error) => toast(toProblem(error).message, { kind: "danger" }),
    );
  return html`
    <${IconButton} size="small" icon="thumbs-up" label="Good answer" aria-pressed=${String(rating === 1)} onClick=${() => press(1)} />
    <${IconButton} size="small" icon="thumbs-down" label="Bad answer" aria-pressed=${String(rating === -1)} onClick=${() => press(-1)} />
    ${asking && html`<${Lazy} load=${() => import("./feedback_dialog.js")} onClose=${() => setAsking(false)} said=${message.feedback?.comment} onSend=${(comment) => rate(-1, comment)} />`}`;
}
