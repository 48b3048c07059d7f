// Who or what used how much: a table, largest first, with a bar in each row.

import { html, useState } from "../../vendor/preact.js";
import { Button } from "../ui/button.js";
import { NONE, formatCount, formatMoney, formatShare } from "./numbers.js";

const ROWS_AT_FIRST = 10;

const tokensOf = (row) => row.input + row.output;

/** `rows` with the largest first: by cost where a price is known, by tokens where none is. */
export function ranked(rows) {
  return [...rows].sort((one, other) => other.cost - one.cost || tokensOf(other) - tokensOf(one) || other.calls - one.calls);
}

/** `nameOf(row)` → `{text, of, href}`: what a row is called, what stands small behind it, and where it leads. */
export function Ranking({ caption, heading, rows, nameOf }) {
  const [all, setAll] = useState(false);
  const sorted = ranked(rows);
  const shown = all ? sorted : sorted.slice(0, ROWS_AT_FIRST);
  const hasCost = rows.some((row) => row.costKnown);
  const sizeOf = hasCost ? (row) => row.cost : tokensOf;
  const greatest = Math.max(...rows.map(sizeOf), Number.MIN_VALUE);
  return html`<div class="ranking">
    <table class="records">
      <caption class="visually-hidden">${caption}</caption>
      <thead>
        <tr>
          <th scope="col">${heading}</th>
          <th scope="col" class="is-number">Input</th>
          <th scope="col" class="is-number">From cache</th>
          <th scope="col" class="is-number">Output</th>
          <th scope="col" class="is-number">Calls</th>
          <th scope="col" class="is-number">Cost</th>
        </tr>
      </thead>
      <tbody>
        ${shown.map((row) => html`<${Row} key=${row.key} row=${row} name=${nameOf(row)} part=${sizeOf(row) / greatest} />`)}
      </tbody>
    </table>
    ${sorted.length > shown.length && html`<${Button} kind="quiet" onClick=${() => setAll(true)}>Show all ${formatCount(sorted.length)}<//>`}
  </div>`;
}

function Row({ row, name, part }) {
  return html`<tr>
    <th scope="row" class="ranking-name">
      ${name.href ? html`<a href=${name.href} dir="auto">${name.text}</a>` : html`<span dir="auto">${name.text}</span>`}
      ${name.of && html`<span class="small muted"> ${name.of}</span>`}
      ${part > 0 && html`<svg class="ranking-bar" aria-hidden="true" focusable="false"><rect class="chart-tone-output" width=${`${Math.max(0.5, part * 100)}%`} height="100%" rx="2" /></svg>`}
    </th>
    <td class="is-number" data-label="Input">${formatCount(row.input)}</td>
    <td class="is-number" data-label="From cache">${row.cachedShare === null ? NONE : formatShare(row.cachedShare)}</td>
    <td class="is-number" data-label="Output">${formatCount(row.output)}</td>
    <td class="is-number" data-label="Calls">${formatCount(row.calls)}</td>
    <td class="is-number" data-label="Cost">${costOf(row)}</td>
  </tr>`;
}

/** The cost of a group, and what is not in it. */
export function costOf(row) {
  if (!row.costKnown) return row.unpriced > 0 ? "price unknown" : NONE;
  const amount = formatMoney(row.cost);
  return row.unpriced > 0 ? `${amount} and more` : amount;
}
