// Sums of model calls: asked for, with days filled in, and folded for the charts.

import { api } from "../api.js";

const DAY_MS = 86_400_000;

// Beyond this many days a bar stands for a week: a bar of a day would be thinner than a finger or an eye can find.
const MOST_DAILY_BARS = 100;

// The API orders groups by their names, so that the largest are known only when all have come.
const MOST_GROUPS = 2000;

const dayOf = (time) => new Date(time).toISOString().slice(0, 10);

/** The day so many days after a day of UTC. */
export const addDays = (day, count) => dayOf(Date.parse(`${day}T00:00:00Z`) + count * DAY_MS);

/** Today, in UTC: the service counts days of UTC. */
export const today = () => dayOf(Date.now());

/** How many days there are from a day to another one, both included. */
export const daysBetween = (first, last) => Math.round((Date.parse(last) - Date.parse(first)) / DAY_MS) + 1;

/** What `GET /usage` is asked for: days, both included. */
const periodOf = ({ first, last }) => ({ from: first, to: addDays(last, 1) });

/** A group's numbers, flat. `estimated`: some of its tokens were counted by the service itself. */
function read(row) {
  const { usage, cost } = row;
  const input = usage.input_tokens ?? 0;
  const cached = Math.min(usage.cached_input_tokens ?? 0, input);
  return {
    calls: row.calls,
    input,
    cached,
    output: usage.output_tokens ?? 0,
    cost: cost ? Number(cost.amount) : 0,
    costKnown: cost !== null,
    cachedShare: row.cached_share ?? null,
    unpriced: row.unpriced_calls,
    estimated: usage.estimated === true,
  };
}

const NOTHING = { calls: 0, input: 0, cached: 0, output: 0, cost: 0, costKnown: false, cachedShare: null, unpriced: 0, estimated: false };

/** The sum of a period. */
export async function loadTotal(period) {
  const page = await api.get("/usage", periodOf(period));
  return page.data.length > 0 ? read(page.data[0]) : NOTHING;
}

/** One row for each day of a period, or for each week of a long one: `{key, days, …numbers}`, oldest first. */
export async function loadDays(period) {
  const found = new Map();
  for await (const row of api.all("/usage", { ...periodOf(period), group_by: "day" })) found.set(row.day.slice(0, 10), read(row));
  const count = daysBetween(period.first, period.last);
  const days = Array.from({ length: count }, (_, index) => addDays(period.first, index));
  const step = count > MOST_DAILY_BARS ? 7 : 1;
  const rows = [];
  for (let start = 0; start < count; start += step) {
    const part = days.slice(start, start + step);
    rows.push({ key: part[0], days: part, ...part.map((day) => found.get(day) ?? NOTHING).reduce(add) });
  }
  return rows;
}

function add(one, other) {
  return {
    ...one,
    calls: one.calls + other.calls,
    cachedShare: null,
    input: one.input + other.input,
    cached: one.cached + other.cached,
    output: one.output + other.output,
    cost: one.cost + other.cost,
    costKnown: one.costKnown || other.costKnown,
    unpriced: one.unpriced + other.unpriced,
    estimated: one.estimated || other.estimated,
  };
}

/** The groups of a period by `model`, `agent` or `user`: `{rows: [{key, name, …numbers}], cut}`. `cut`: there are more. */
export async function loadGroups(period, kind) {
  const rows = [];
  let cut = false;
  for await (const row of api.all("/usage", { ...periodOf(period), group_by: kind, limit: 100 })) {
    if (rows.length === MOST_GROUPS) {
      cut = true;
      break;
    }
    rows.push({ ...identify(row, kind), ...read(row) });
  }
  return { rows, cut };
}

function identify(row, kind) {
  if (kind === "model") return { key: `${row.provider}:${row.model}`, name: row.model, of: row.provider };
  const id = row[`${kind}_id`];
  return { key: id ?? "", name: id, of: null };
}
