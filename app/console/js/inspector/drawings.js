// A request's tokens as a bar, and a thread as a strip of messages.
import { html, useLayoutEffect, useRef } from "../../vendor/preact.js";
import { count } from "./words.js";

// Below this share of the bar a piece would not be seen.
const LEAST_SHARE = 0.015;
const MOST_BARS = 120;

/** The pieces of a request, each as long as its tokens, with a legend that has the numbers. */
export function TokenBar({ pieces }) {
  const bar = useRef(null);
  const whole = pieces.reduce((sum, { tokens }) => sum + tokens, 0) || 1;
  useLayoutEffect(() => {
    // The policy of the page has no styles in attributes.
    for (const [index, piece] of pieces.entries()) bar.current.children[index].style.flexGrow = String(Math.max(piece.tokens / whole, piece.tokens ? LEAST_SHARE : 0));
  }, [pieces, whole]);
  return html`
    <div class="token-figure">
      <div class="token-bar" ref=${bar} aria-hidden="true">${pieces.map(({ id }) => html`<span key=${id} class=${`token-piece piece-${id}`}></span>`)}</div>
      <ul class="token-legend" role="list" aria-label="Tokens of the request">
        ${pieces.map(({ id, name, tokens }) => html`<li key=${id}><span class=${`token-dot piece-${id}`} aria-hidden="true"></span>${name} <span class="token-count">${count(tokens)}</span></li>`)}
      </ul>
    </div>`;
}

/** A thread as bars: filled ones are sent, hollow ones are left out. The taller, the more tokens. */
export function Strip({ timeline, label }) {
  const shown = timeline.slice(-MOST_BARS);
  const most = Math.max(...shown.map(({ tokens }) => tokens ?? 0), 1);
  const height = (tokens) => 6 + Math.round(34 * Math.sqrt((tokens ?? 0) / most));
  if (!shown.length) return null;
  return html`
    <div class="strip">
      ${label && html`<span class="strip-label">${label}</span>`}
      <svg class="strip-svg" viewBox=${`0 0 ${Math.max(shown.length, 24) * 8} 42`} preserveAspectRatio="xMinYMax meet" aria-hidden="true">
        ${shown.map((entry, index) => html`<rect key=${entry.key} class=${`memory-bar ${entry.sent ? (entry.seq === null ? "summary" : "sent") : ""}`}
          x=${index * 8 + 0.5} y=${41.5 - height(entry.tokens)} width="6" height=${height(entry.tokens)} rx="1.5" />`)}
      </svg>
    </div>`;
}
