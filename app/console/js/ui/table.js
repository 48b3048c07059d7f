import { html } from "../../vendor/preact.js";
import { navigate } from "../router.js";

/**
 * Rows in columns. `columns`: `{label, cell: (row) => content, number, hidden (the label is read only)}`.
 * `keyOf(row)`; `linkOf(row)` is where a click on the row goes (the first cell should have the same link).
 */
export function Table({ label, columns, rows, keyOf = (row) => row.id, linkOf }) {
  const follow = (row) => (event) => {
    if (event.target.closest("a, button, input, label, select") || String(getSelection())) return;
    navigate(linkOf(row));
  };
  return html`<div class="table-box" role="region" aria-label=${label} tabindex="0">
    <table class="table">
      <caption class="visually-hidden">${label}</caption>
      <thead><tr>
        ${columns.map((column) => html`<th scope="col" class=${column.number ? "table-number" : ""}>
          ${column.hidden ? html`<span class="visually-hidden">${column.label}</span>` : column.label}</th>`)}
      </tr></thead>
      <tbody>
        ${rows.map((row) => html`<tr key=${keyOf(row)} data-link=${linkOf ? "" : undefined} onClick=${linkOf && follow(row)}>
          ${columns.map((column) => html`<td class=${column.number ? "table-number" : ""} dir=${column.number ? undefined : "auto"}>${column.cell(row)}</td>`)}
        </tr>`)}
      </tbody>
    </table>
  </div>`;
}
