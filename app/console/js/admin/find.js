// Finding entries of a list: the field, and what the API is asked for once one has stopped writing.

import { html, useEffect, useState } from "../../vendor/preact.js";
import { formatCount } from "../usage/numbers.js";

const PAUSE_MS = 250;

/** The query for a list with what is wanted of it: `{q}`, or `{}` for all of it. */
export function useFind(wanted) {
  const [q, setQ] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => setQ(wanted.trim()), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [wanted]);
  return q ? { q } : {};
}

/** The field, and how many there are; `pages` is the list that was found. */
export function FindField({ label, value, onInput, pages }) {
  const count = pages.items.length;
  return html`<div class="find">
    <input class="input" type="search" placeholder=${label} aria-label=${label} value=${value} dir="auto" autocomplete="off" spellcheck=${false} maxlength="200"
      onInput=${(event) => onInput(event.currentTarget.value)} />
    <p class="small muted" role="status">${!value.trim() || pages.loading || pages.problem ? "" : count === 0 ? "No match." : `${formatCount(count)}${pages.more ? " or more" : ""} ${count === 1 ? "match" : "matches"}.`}</p>
  </div>`;
}
