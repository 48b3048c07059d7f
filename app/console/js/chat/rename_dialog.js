import { html, useState } from "../../vendor/preact.js";
import { api, toProblem } from "../api.js";
import { Button } from "../ui/button.js";
import { Dialog } from "../ui/dialog.js";
import { Field, TextInput } from "../ui/fields.js";
import { Notice } from "../ui/states.js";

/** A title that a person gives is never overwritten; without one, the service finds one. */
export default function RenameDialog({ thread, title, onClose }) {
  const [value, setValue] = useState(title ?? "");
  const [problem, setProblem] = useState(null);
  const save = async (event) => {
    event.preventDefault();
    try {
      await api.patch(thread.path, { title: value.trim() || null });
      onClose();
    } catch (error) {
      setProblem(toProblem(error));
    }
  };
  return html`<${Dialog} title="Rename the chat" onClose=${onClose}><form class="stack" onSubmit=${save}>
    <${Field} label="Title"><${TextInput} value=${value} onInput=${setValue} maxlength="255" autofocus /><//>
    ${problem && html`<${Notice} problem=${problem} />`}
    <div class="row row-end"><${Button} onClick=${onClose}>Cancel<//><${Button} kind="primary" type="submit">Save<//></div>
  </form><//>`;
}
