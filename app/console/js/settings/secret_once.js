// A secret that the service shows this once.
import { html } from "../../vendor/preact.js";
import { Button } from "../ui/button.js";
import { CopyButton } from "../ui/copy_button.js";
import { Dialog } from "../ui/dialog.js";

export function SecretOnce({ title, secret, children, onClose }) {
  return html`
    <${Dialog} title=${title} onClose=${onClose}>
      <p>This is the only time that it is shown. Copy it to where it is used.</p>
      <div class="secret"><code class="secret-text">${secret}</code><${CopyButton} text=${secret} label="Copy" kind="secondary">Copy<//></div>
      ${children}
      <div class="row row-end"><${Button} kind="primary" onClick=${onClose}>I have it<//></div>
    <//>`;
}
