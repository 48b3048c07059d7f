// The chart by day: one measure at a time, its value beside the pointer or the focus, and the same as a table.

import { html, useState } from "../../vendor/preact.js";
import { Records } from "../admin/records.js";
import { BarChart, Legend } from "./bar_chart.js";
import { counted, formatCount, formatDay, formatDayShort, formatMoney, formatShort } from "./numbers.js";
import { NUMBERS, costOf } from "./ranking.js";

const MEASURES = {
  cost: {
    name: "Cost",
    series: [{ name: "Cost", tone: "output" }],
    valuesOf: (row) => [row.cost],
    format: formatMoney,
    say: (row) => costOf(row),
  },
  tokens: {
    name: "Tokens",
    series: [
      { name: "Input from cache", tone: "cached" },
      { name: "Input", tone: "input" },
      { name: "Output", tone: "output" },
    ],
    valuesOf: (row) => [row.cached, row.input - row.cached, row.output],
    format: formatShort,
    isWhole: true,
    say: (row) => `${formatCount(row.input)} in${row.cached > 0 ? ` (${formatCount(row.cached)} from cache)` : ""}, ${formatCount(row.output)} out`,
  },
  calls: {
    name: "Calls",
    series: [{ name: "Model calls", tone: "output" }],
    valuesOf: (row) => [row.calls],
    format: formatShort,
    isWhole: true,
    say: (row) => counted(row.calls, "call"),
  },
};

const sayOf = (measure, row) => (row.calls === 0 ? "no calls" : measure.say(row));

const nameOf = (row) => (row.days.length === 1 ? formatDay(row.key) : `${formatDay(row.key)} – ${formatDay(row.days[row.days.length - 1])}`);

/** `rows` of `loadDays`. Begins with the cost where one is known. */
export function Days({ rows }) {
  const [chosen, setChosen] = useState(null);
  const [pointed, setPointed] = useState(null);
  const kind = chosen ?? (rows.some((row) => row.costKnown) ? "cost" : "tokens");
  const measure = MEASURES[kind];
  const perWeek = rows.some((row) => row.days.length > 1);
  const bars = rows.map((row) => ({
    key: row.key,
    short: formatDayShort(row.key),
    label: `${nameOf(row)}: ${sayOf(measure, row)}`,
    values: measure.valuesOf(row),
  }));
  const row = pointed && rows.find((one) => one.key === pointed.key);
  return html`<section class="panel" aria-labelledby="usage-days">
    <div class="panel-head">
      <h2 id="usage-days">${perWeek ? "By week" : "By day"}</h2>
      <div class="segments" role="group" aria-label="Measure">
        ${Object.entries(MEASURES).map(([name, one]) => html`<button key=${name} type="button" class="segment" aria-pressed=${name === kind}
          onClick=${() => setChosen(name)}>${one.name}</button>`)}
      </div>
    </div>
    <p class="chart-reading" aria-hidden="true">${row
      ? html`<strong>${sayOf(measure, row)}</strong> <span>${nameOf(row)}</span>`
      : html`<span>Point at a bar to read its value.</span>`}</p>
    <${BarChart} label=${`${measure.name} ${perWeek ? "by week" : "by day"}`} bars=${bars} series=${measure.series} format=${measure.format}
      isWhole=${measure.isWhole} onPoint=${setPointed} />
    ${measure.series.length > 1 && html`<${Legend} series=${measure.series} />`}
    <details class="chart-table">
      <summary>Show as a table</summary>
      <${DayTable} rows=${rows} heading=${perWeek ? "Week" : "Day"} />
    </details>
  </section>`;
}

function DayTable({ rows, heading }) {
  const columns = [{ label: heading, cell: nameOf }, ...NUMBERS];
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${`Usage by ${heading.toLowerCase()}`}>
    <${Records} caption=${`Usage by ${heading.toLowerCase()}`} columns=${columns} rows=${rows} keyOf=${(row) => row.key} />
  </div>`;
}
