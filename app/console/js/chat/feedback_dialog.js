// A comment to an answer that was bad.

import { html, useState } from "../../vendor/preact.js";
import { toProblem } from "../api.js";
import { Button } from "../ui/button.js";
import { Dialog } from "../ui/dialog.js";
import { Field, TextArea } from "../ui/fields.js";
import { Notice } from "../ui/states.js";

export default function FeedbackDialog({ said, onClose, onSend }) {
  const [comment, setComment] = useState(said ?? "");
  const [problem, setProblem] = useState(null);
  const sendIt = () => onSend(comment.trim()).then(onClose, (error) => setProblem(toProblem(error)));
  return html`<${Dialog} title="What was wrong?" onClose=${onClose}>
    <${Field} label="Your comment" help="The owners of the agent read it." optional><${TextArea} value=${comment} onInput=${setComment} rows=${3} maxlength="2000" autofocus /><//>
    ${problem && html`<${Notice} problem=${problem} />`}
    <div class="row row-end"><${Button} onClick=${onClose}>Not now<//><${Button} kind="primary" disabled=${!comment.trim()} onClick=${sendIt}>Send<//></div>
  <//>`;
}
