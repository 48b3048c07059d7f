// Who or what used how much: a table, largest first, with a bar in each row.

import { html, useState } from "../../vendor/preact.js";
import { Records } from "../admin/records.js";
import { Button } from "../ui/button.js";
import { NONE, formatCount, formatMoney, formatShare } from "./numbers.js";

const ROWS_AT_FIRST = 10;

const tokensOf = (row) => row.input + row.output;

/** `rows` with the largest first: by cost where a price is known, by tokens where none is. */
export function ranked(rows) {
  return [...rows].sort((one, other) => other.cost - one.cost || tokensOf(other) - tokensOf(one) || other.calls - one.calls);
}

/** The columns of numbers that all tables of usage have. */
export const NUMBERS = [
  { label: "Input", isNumber: true, cell: (row) => formatCount(row.input) },
  { label: "From cache", isNumber: true, cell: (row) => (row.cachedShare === null ? NONE : formatShare(row.cachedShare)) },
  { label: "Output", isNumber: true, cell: (row) => formatCount(row.output) },
  { label: "Calls", isNumber: true, cell: (row) => formatCount(row.calls) },
  { label: "Cost", isNumber: true, cell: (row) => costOf(row) },
];

/** `nameOf(row)` → `{text, of, href}`: what a row is called, what stands small behind it, and where it leads. */
export function Ranking({ caption, heading, rows, nameOf }) {
  const [all, setAll] = useState(false);
  const sorted = ranked(rows);
  const shown = all ? sorted : sorted.slice(0, ROWS_AT_FIRST);
  const sizeOf = rows.some((row) => row.costKnown) ? (row) => row.cost : tokensOf;
  const greatest = Math.max(...rows.map(sizeOf), Number.MIN_VALUE);
  const name = { label: heading, cell: (row) => html`<${Name} name=${nameOf(row)} part=${sizeOf(row) / greatest} />` };
  return html`<div class="ranking">
    <${Records} caption=${caption} columns=${[name, ...NUMBERS]} rows=${shown} keyOf=${(row) => row.key} />
    ${sorted.length > shown.length && html`<${Button} kind="quiet" onClick=${() => setAll(true)}>Show all ${formatCount(sorted.length)}<//>`}
  </div>`;
}

function Name({ name, part }) {
  return html`${name.href ? html`<a href=${name.href} dir="auto">${name.text}</a>` : html`<span dir="auto">${name.text}</span>`}
    ${name.of && html`<span class="small muted"> ${name.of}</span>`}
    ${part > 0 && html`<svg class="ranking-bar" aria-hidden="true" focusable="false">
      <rect class="chart-tone-output" width=${`${Math.max(0.5, part * 100)}%`} height="100%" rx="2" /></svg>`}`;
}

/** The cost of a group, and what is not in it. */
export function costOf(row) {
  if (!row.costKnown) return row.unpriced > 0 ? "price unknown" : NONE;
  const amount = formatMoney(row.cost);
  return row.unpriced > 0 ? `${amount} and more` : amount;
}
