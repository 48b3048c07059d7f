// What a tool was asked and what it answered. Loaded when one looks at it.

import { html } from "../../vendor/preact.js";
import { CopyButton } from "../ui/copy_button.js";
import { isEmpty, pretty } from "./values.js";

function Value({ title, value }) {
  const text = pretty(value) ?? "";
  return html`<div class="tool-value">
    <div class="tool-value-head"><span>${title}</span><${CopyButton} text=${text} label=${`Copy the ${title.toLowerCase()}`} /></div>
    <pre dir="ltr" tabindex="0" aria-label=${title}>${text || "(nothing)"}</pre>
  </div>`;
}

export default function ToolBody({ part, call }) {
  return html`<div class="tool-body">
    ${isEmpty(part.arguments) ? html`<p class="muted small">Without arguments.</p>` : html`<${Value} title="Arguments" value=${part.arguments} />`}
    ${call.state === "done" && html`<${Value} title=${call.isError ? "Error" : "Result"} value=${call.result} />`}
  </div>`;
}
