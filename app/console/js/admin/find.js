// Finding entries of a list that the API cannot search: all its pages are read, once, and what fits is shown.

import { html, useEffect, useState } from "../../vendor/preact.js";
import { api, toProblem } from "../api.js";
import { Notice, Spinner } from "../ui/states.js";
import { formatCount } from "../usage/numbers.js";

// Beyond this, reading on would take long, and a person would want another way.
const MOST = 5000;
const PAUSE_MS = 250;

async function readAll(path, isStopped) {
  const items = [];
  for await (const item of api.all(path)) {
    items.push(item);
    if (items.length === MOST || isStopped()) break;
  }
  return items;
}

/**
 * `text` is what is looked for; `textOf(item)` is what it is looked for in. `found` is null while nothing is asked, and
 * until the pages are read. `version` changes when the list has changed.
 */
export function useFind(path, text, textOf, version) {
  const [state, setState] = useState({ items: null, problem: null });
  const wanted = text.trim().toLowerCase();
  const isAsked = wanted !== "";
  useEffect(() => {
    setState({ items: null, problem: null });
    if (!isAsked) return undefined;
    let isStopped = false;
    const timer = setTimeout(() => {
      readAll(path, () => isStopped).then(
        (items) => !isStopped && setState({ items, problem: null }),
        (failure) => !isStopped && setState({ items: null, problem: toProblem(failure) }),
      );
    }, PAUSE_MS);
    return () => {
      isStopped = true;
      clearTimeout(timer);
    };
  }, [path, isAsked, version]);
  if (!isAsked) return { isAsked, found: null, problem: null, isCut: false };
  const found = state.items && state.items.filter((item) => textOf(item).toLowerCase().includes(wanted));
  return { isAsked, found, problem: state.problem, isCut: state.items?.length === MOST };
}

/** The field, and what to say of what was found. */
export function FindField({ label, value, onInput, find }) {
  return html`<div class="find">
    <input class="input" type="search" placeholder=${label} aria-label=${label} value=${value} dir="auto" autocomplete="off" spellcheck=${false}
      onInput=${(event) => onInput(event.currentTarget.value)} />
    <p class="small muted" role="status">${find.found === null ? "" : wordsFor(find)}</p>
    ${find.problem && html`<${Notice} problem=${find.problem} />`}
    ${find.isAsked && find.found === null && !find.problem && html`<${Spinner} label="Looking" />`}
  </div>`;
}

function wordsFor({ found, isCut }) {
  const count = found.length === 0 ? "No match." : found.length === 1 ? "1 match." : `${formatCount(found.length)} matches.`;
  return isCut ? `${count} Only the first ${formatCount(MOST)} were looked at.` : count;
}
