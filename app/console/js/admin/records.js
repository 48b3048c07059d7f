// A table whose rows become cards where there is no room for columns. The roles are said explicitly: a table that is
// laid out as blocks is none for a screen reader otherwise.

import { html } from "../../vendor/preact.js";

/**
 * `columns`: `[{label, cell(row), isNumber, isHidden}]`; the first one names the row. `isHidden`: the label is for screen
 * readers only. `details(row)`, where given, is what stands below a row, or nothing.
 */
export function Records({ caption, columns, rows, keyOf, details }) {
  return html`<div class="records-box"><table class="records" role="table">
    <caption class="visually-hidden">${caption}</caption>
    <thead role="rowgroup">
      <tr role="row">
        ${columns.map((column) => html`<th key=${column.label} role="columnheader" scope="col" class=${column.isNumber ? "is-number" : null}>
          ${column.isHidden ? html`<span class="visually-hidden">${column.label}</span>` : column.label}</th>`)}
      </tr>
    </thead>
    <tbody role="rowgroup">
      ${rows.map((row) => html`<${Record} key=${keyOf(row)} row=${row} columns=${columns} details=${details} />`)}
    </tbody>
  </table></div>`;
}

function Record({ row, columns, details }) {
  const [head, ...rest] = columns;
  const more = details?.(row);
  return html`<tr role="row" class=${more ? "has-details" : null}>
      <th role="rowheader" scope="row" class="record-head">${head.cell(row)}</th>
      ${rest.map((column) => html`<td key=${column.label} role="cell" class=${classOf(column)} data-label=${column.isHidden ? null : column.label}>${column.cell(row)}</td>`)}
    </tr>
    ${more && html`<tr role="row" class="record-details"><td role="cell" colspan=${columns.length}>${more}</td></tr>`}`;
}

const classOf = ({ isNumber, isHidden }) => [isNumber && "is-number", isHidden && "record-actions"].filter(Boolean).join(" ") || null;
