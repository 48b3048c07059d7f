// The head of a view: its title, what it is for, and what can be done.

import { html } from "../../vendor/preact.js";

export function PageHead({ id, title, text, children }) {
  return html`<header class="page-head">
    <div class="grow"><h1 id=${id} tabindex=${id ? -1 : undefined}>${title}</h1>${text && html`<p class="page-lead">${text}</p>`}</div>
    ${children && html`<div class="row">${children}</div>`}
  </header>`;
}
