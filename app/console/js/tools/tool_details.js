// What a model is told of a tool.
import { html } from "../../vendor/preact.js";
import { Differences } from "../agents/versions.js";

/** `named` is false where the name stands above already. */
export function ToolDetails({ tool, named = true }) {
  const names = Object.keys(tool.parameters?.properties ?? {});
  const required = new Set(tool.parameters?.required ?? []);
  return html`
    <div class="stack stack-tight">
      <div>
        ${named && html`<strong class="mono">${tool.name}</strong>`}
        <p class="section-help" dir="auto">${tool.description}</p>
      </div>
      ${names.length > 0 && html`<p class="small">Parameters: ${names.map((name, index) => html`${index > 0 ? ", " : ""}<code>${name}</code>${required.has(name) ? "" : " (optional)"}`)}</p>`}
      ${tool.offered && html`<details class="form-more"><summary>What the server says now</summary>
        <${Differences} before=${shown(tool)} after=${shown(tool.offered)} /></details>`}
      <details class="form-more"><summary>Parameters as JSON Schema</summary><pre class="schema" tabindex="0">${JSON.stringify(tool.parameters, null, 2)}</pre></details>
    </div>`;
}

/** A tool's words in the fields that differences are shown for. */
const shown = ({ description, parameters }) => ({ description, output_schema: parameters });
