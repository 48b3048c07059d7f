// Which days are shown. The address keeps it, so that a link and a reload show the same.

import { html, useState } from "../../vendor/preact.js";
import { navigate } from "../router.js";
import { Button } from "../ui/button.js";
import { addDays, daysBetween, today } from "./usage_data.js";

const DAYS = [7, 30, 90];
const DEFAULT_DAYS = 30;

// The API sums up no longer period.
const MOST_DAYS = 366;

const isDay = (text) => /^\d{4}-\d\d-\d\d$/.test(text ?? "") && !Number.isNaN(Date.parse(text));

/** The period that an address asks for: `{first, last, days}`, days of UTC, both included; `days` is null for own dates. */
export function periodFor(query) {
  const { from, to } = query;
  if (isDay(from) && isDay(to) && problemOf(from, to) === null) return { first: from, last: to, days: null };
  const days = DAYS.includes(Number(query.days)) ? Number(query.days) : DEFAULT_DAYS;
  return { first: addDays(today(), 1 - days), last: today(), days };
}

/** Why two days are no period, in a sentence; null where they are one. */
export function problemOf(first, last) {
  if (!isDay(first) || !isDay(last)) return "Give both days.";
  if (first > last) return "The first day is after the last one.";
  if (daysBetween(first, last) > MOST_DAYS) return `At most ${MOST_DAYS} days can be summed up.`;
  return null;
}

const go = (query) => navigate(`#/usage?${new URLSearchParams(query)}`);

/** Buttons for the last days, and two dates for any others. */
export function RangePicker({ period }) {
  const [isOpen, setOpen] = useState(period.days === null);
  const [first, setFirst] = useState(period.first);
  const [last, setLast] = useState(period.last);
  const [problem, setProblem] = useState(null);

  const choose = (days) => {
    setOpen(false);
    setProblem(null);
    const chosen = periodFor({ days });
    setFirst(chosen.first);
    setLast(chosen.last);
    go({ days });
  };
  const submit = (event) => {
    event.preventDefault();
    const found = problemOf(first, last);
    setProblem(found);
    if (found === null) go({ from: first, to: last });
  };

  return html`<div class="range">
    <div class="segments" role="group" aria-label="Period">
      ${DAYS.map((days) => html`<button key=${days} type="button" class="segment" aria-pressed=${!isOpen && period.days === days}
        onClick=${() => choose(days)}>${days} days</button>`)}
      <button type="button" class="segment" aria-pressed=${isOpen} aria-expanded=${isOpen} onClick=${() => setOpen(true)}>Other days</button>
    </div>
    ${isOpen && html`<form class="range-own" onSubmit=${submit} noValidate>
      <label class="range-date"><span class="field-label">From</span><input class="input" type="date" value=${first} max=${today()} aria-invalid=${problem !== null}
        aria-describedby="range-problem" onInput=${(event) => setFirst(event.currentTarget.value)} /></label>
      <label class="range-date"><span class="field-label">To, included</span><input class="input" type="date" value=${last} max=${today()} aria-invalid=${problem !== null}
        aria-describedby="range-problem" onInput=${(event) => setLast(event.currentTarget.value)} /></label>
      <${Button} type="submit">Show<//>
      <p id="range-problem" class="field-error" role="alert">${problem}</p>
    </form>`}
  </div>`;
}
