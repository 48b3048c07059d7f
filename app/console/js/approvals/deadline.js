// How long a call still waits. It counts down in steps that grow with what is left: a person sees that time passes, and
// nothing flickers.

import { html, useEffect, useState } from "../../vendor/preact.js";
import { formatDuration, formatTime } from "../usage/numbers.js";

const MINUTE_S = 60;
const HOUR_S = 3600;

/** What is left, in a few words; null where the deadline has passed. */
export function leftOf(secondsLeft) {
  if (secondsLeft <= 0) return null;
  if (secondsLeft < MINUTE_S) return `${Math.max(5, Math.ceil(secondsLeft / 5) * 5)} s`;
  return formatDuration(secondsLeft < HOUR_S ? Math.ceil(secondsLeft / MINUTE_S) * MINUTE_S : secondsLeft);
}

/** Milliseconds until the words change. */
const pauseFor = (secondsLeft) => (secondsLeft < 2 * MINUTE_S ? 5_000 : 30_000);

/** `expiresAt` is null for a call that waits for ever. `onPassed` is called once, when the time is over. */
export function Deadline({ expiresAt, onPassed }) {
  const secondsLeft = () => (Date.parse(expiresAt) - Date.now()) / 1000;
  const [, tick] = useState(0);
  useEffect(() => {
    if (expiresAt === null) return undefined;
    let timer;
    const wait = () => {
      const left = secondsLeft();
      if (left <= 0) {
        onPassed();
        return;
      }
      timer = setTimeout(() => {
        tick((count) => count + 1);
        wait();
      }, Math.min(pauseFor(left), left * 1000 + 500));
    };
    wait();
    return () => clearTimeout(timer);
  }, [expiresAt]);
  if (expiresAt === null) return html`<span>Waits until a person decides</span>`;
  const left = leftOf(secondsLeft());
  return html`<time datetime=${expiresAt} title=${formatTime(expiresAt)}>${left === null ? "Its time is over" : `Refused automatically in ${left}`}</time>`;
}
