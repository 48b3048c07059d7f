// What people think of an answer.

import { html, useState } from "../../vendor/preact.js";
import { toProblem } from "../api.js";
import { Button, IconButton } from "../ui/button.js";
import { Dialog } from "../ui/dialog.js";
import { Field, TextArea } from "../ui/fields.js";
import { Notice } from "../ui/states.js";
import { toast } from "../ui/toast.js";

// The API tells nobody but the agent's owners what was said; so this page remembers what was said here.
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
    ${asking && html`<${Why} onClose=${() => setAsking(false)} onSend=${(comment) => rate(-1, comment)} />`}`;
}

function Why({ onClose, onSend }) {
  const [comment, setComment] = useState("");
  const [problem, setProblem] = useState(null);
  const sendIt = () => onSend(comment.trim()).then(onClose, (error) => setProblem(toProblem(error)));
  return html`<${Dialog} title="What was wrong?" onClose=${onClose}>
    <${Field} label="Your comment" help="The owners of the agent read it." optional><${TextArea} value=${comment} onInput=${setComment} rows=${3} maxlength="2000" autofocus /><//>
    ${problem && html`<${Notice} problem=${problem} />`}
    <div class="row row-end"><${Button} onClick=${onClose}>Not now<//><${Button} kind="primary" disabled=${!comment.trim()} onClick=${sendIt}>Send<//></div>
  <//>`;
}
