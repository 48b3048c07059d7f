// One of a few, side by side: a filter that acts at once.

import { html } from "../../vendor/preact.js";

/** `options`: `[{value, label}]`. */
export function Segments({ label, options, value, onChange }) {
  return html`<div class="segments" role="group" aria-label=${label}>
    ${options.map((option) => html`<button key=${option.value} type="button" class="segment" aria-pressed=${String(option.value === value)}
      onClick=${() => onChange(option.value)}>${option.label}</button>`)}
  </div>`;
}
