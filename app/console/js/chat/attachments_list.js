// The files that go with the next message. Loaded when there is one.

import { html } from "../../vendor/preact.js";
import { IconButton } from "../ui/button.js";
import { Icon } from "../ui/icon.js";
import { fileSize } from "./words.js";

export default function Attachments({ attachments, onRemove }) {
  return html`<ul class="attachments" role="list" aria-label="Attachments">
    ${attachments.map((each) => html`<li key=${each.localId} class=${`attachment ${each.problem ? "attachment-refused" : ""}`}>
      <${Icon} name=${each.problem ? "circle-alert" : "file-text"} size="small" />
      <span class="attachment-text"><span class="truncate" dir="auto">${each.name}</span>
        <span class="attachment-state" role=${each.problem ? "alert" : undefined}>${each.problem ?? (each.file ? fileSize(each.size) : `${Math.round(each.share * 100)} %`)}</span></span>
      ${!each.file && !each.problem && html`<progress max="1" value=${each.share} aria-label=${`Upload of ${each.name}`}></progress>`}
      <${IconButton} icon="x" size="small" label=${`Remove ${each.name}`} onClick=${() => {
        each.abort?.abort();
        onRemove(each.localId);
      }} />
    </li>`)}
  </ul>`;
}
