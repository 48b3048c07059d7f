// What others saved while one was writing, and what to do with one's own changes.
import { html } from "../../vendor/preact.js";
import { Button } from "../ui/button.js";
import { Dialog } from "../ui/dialog.js";
import { changesOf, toBody, toDraft } from "./draft.js";
import { FIELDS } from "./diff.js";
import { Differences } from "./versions.js";

/** `onTake(changes)` goes on from their version, with these changes laid over it. */
export function Conflict({ base, theirs, mine, onClose, onTake }) {
  const own = changesOf(base, mine);
  const others = changesOf(base, toBody(toDraft(theirs)).body);
  const both = Object.keys(own).filter((field) => field in others);
  return html`
    <${Dialog} title="It has been changed meanwhile" wide onClose=${onClose}>
      <p>While you were writing, version ${theirs.version} was saved. Nothing of yours is lost: you changed ${named(Object.keys(own))}.</p>
      ${both.length > 0 && html`<p><strong>Both of you changed ${named(both)}.</strong> If you go on with yours, theirs is replaced when you save.</p>`}
      <p><strong>What they changed</strong></p>
      <${Differences} before=${base} after=${theirs} />
      <div class="row row-end">
        <${Button} kind="danger" onClick=${() => onTake({})}>Take theirs, drop mine<//>
        <${Button} kind="primary" onClick=${() => onTake(own)}>Keep mine on top of theirs<//>
      </div>
    <//>`;
}

const named = (fields) => fields.map((field) => FIELDS[field]).join(", ");
