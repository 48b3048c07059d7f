// A secret that is shown this once.

import { html, useEffect, useRef } from "../../vendor/preact.js";
import { Button } from "../ui/button.js";
import { CopyButton } from "../ui/copy_button.js";
import { confirm } from "../ui/dialog.js";

/** `label` names it, `text` says what it is for. */
export function Secret({ label, secret, text, onDone }) {
  const field = useRef(null);
  useEffect(() => {
    field.current.focus();
    field.current.select();
  }, []);
  return html`<div class="secret">
    <p>${text} It is shown this once: the service keeps only a hash of it.</p>
    <div class="secret-line">
      <input ref=${field} class="input secret-field" readOnly=${true} value=${secret} aria-label=${label} dir="ltr" spellcheck=${false} autocomplete="off" />
      <${CopyButton} text=${secret} label=${`Copy ${label.toLowerCase()}`} />
    </div>
    <div class="row row-end"><${Button} kind="primary" onClick=${onDone}>I have kept it<//></div>
  </div>`;
}

/** What closes a dialog with a secret: not without asking, since it cannot be shown again. */
export function useKept(what, onClose) {
  return async () => {
    const isKept = await confirm({ title: `Have you kept the ${what}?`, text: "It cannot be shown again.", action: "Close" });
    if (isKept) onClose();
  };
}
