// A message said otherwise. Loaded when one begins to.

import { html, useState } from "../../vendor/preact.js";
import { Button } from "../ui/button.js";

export default function EditMessage({ text, onClose, onSend }) {
  const [said, setSaid] = useState(text);
  const [busy, setBusy] = useState(false);
  const sendIt = async () => {
    if (!said.trim() || busy) return;
    setBusy(true);
    await onSend(said.trim());
    setBusy(false);
  };
  return html`<div class="edit">
    <textarea class="input" dir="auto" aria-label="The message, said otherwise" autofocus value=${said}
      ref=${(field) => field && document.activeElement === document.body && field.focus()}
      onInput=${(event) => setSaid(event.currentTarget.value)}
      onKeyDown=${(event) => {
        if (event.key === "Escape") onClose();
        if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
          event.preventDefault();
          sendIt();
        }
      }}></textarea>
    <div class="row row-end"><span class="muted small grow">It is sent in a new chat; this one stays as it is.</span>
      <${Button} size="small" onClick=${onClose}>Cancel<//><${Button} size="small" kind="primary" busy=${busy} onClick=${sendIt}>Send<//></div>
  </div>`;
}
