import { html, useEffect } from "../../vendor/preact.js";
import { createStore, useStore } from "../signals.js";

const MINUTE = 60_000;
const STEPS = [
  ["minute", MINUTE, 60 * MINUTE],
  ["hour", 60 * MINUTE, 24 * 60 * MINUTE],
  ["day", 24 * 60 * MINUTE, 7 * 24 * 60 * MINUTE],
];
// Short words ("min.") end in full stops, and stand in sentences.
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "long" });
const date = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const dateOfYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

// One clock for all times of the page.
const clock = createStore(Date.now());
let users = 0;
let timer = 0;

/** How long ago (or until when) that is, in few words. */
export function relativeTime(at, now = Date.now()) {
  const then = new Date(at);
  const passed = now - then.getTime();
  if (Math.abs(passed) < MINUTE) return "now";
  for (const [unit, length, limit] of STEPS) {
    if (Math.abs(passed) < limit) return relative.format(-Math.trunc(passed / length), unit);
  }
  return (then.getFullYear() === new Date(now).getFullYear() ? date : dateOfYear).format(then);
}

/** The same in the fewest letters: "5m". */
function shortTime(at) {
  const passed = Date.now() - Date.parse(at);
  const step = STEPS.find(([, , limit]) => passed < limit);
  if (passed < MINUTE || !step) return relativeTime(at);
  return new Intl.NumberFormat(undefined, { style: "unit", unit: step[0], unitDisplay: "narrow" }).format(Math.trunc(passed / step[1]));
}

/** Date and time in the reader's form. */
export function fullTime(at) {
  return full.format(new Date(at));
}

/** A time of the API (RFC 3339) as "5 minutes ago" (`short`: "5m"), all of it as tooltip. It stays right as time passes. */
export function RelativeTime({ at, short = false, class: more = "" }) {
  useStore(clock);
  useEffect(() => {
    users += 1;
    if (users === 1) timer = setInterval(() => clock.set(Date.now()), MINUTE / 2);
    return () => {
      users -= 1;
      if (users === 0) clearInterval(timer);
    };
  }, []);
  if (!at) return null;
  return html`<time class=${more} datetime=${at} title=${fullTime(at)}>${short ? shortTime(at) : relativeTime(at)}</time>`;
}
