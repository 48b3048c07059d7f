// A request's tokens as a bar, and a thread as a strip of messages.
import { html, useLayoutEffect, useRef } from "../../vendor/preact.js";
import { count } from "./words.js";

// Below this share of the bar a piece would not be seen.
const LEAST_SHARE = 0.015;
const MOST_BARS = 120;
const WIDTH = 640;
const HEIGHT = 60;
const WIDEST_BAR = 20;
const KINDS = [
  { id: "sent", name: "Sent" },
  { id: "summary", name: "Summary" },
  { id: "", name: "Left out" },
];

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

const kindOf = (entry) => (!entry.sent ? "" : entry.seq === null ? "summary" : "sent");

/** A thread as bars: filled ones are sent, hollow ones are left out. The taller, the more tokens. */
export function Strip({ timeline, label }) {
  const shown = timeline.slice(-MOST_BARS);
  if (!shown.length) return null;
  const most = Math.max(...shown.map(({ tokens }) => tokens ?? 0), 1);
  const height = (tokens) => 8 + Math.round((HEIGHT - 9) * Math.sqrt((tokens ?? 0) / most));
  const unit = Math.min(WIDEST_BAR, WIDTH / shown.length);
  const kinds = KINDS.filter(({ id }) => shown.some((entry) => kindOf(entry) === id));
  return html`
    <div class="strip">
      ${label && html`<span class="strip-label">${label}</span>`}
      <svg class="strip-svg" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
        ${shown.map((entry, index) => html`<rect key=${entry.key} class=${`memory-bar ${kindOf(entry)}`}
          x=${index * unit + 0.5} y=${HEIGHT - 0.5 - height(entry.tokens)} width=${Math.max(1, unit - 3)} height=${height(entry.tokens)} rx=${Math.min(2, unit / 4)} />`)}
      </svg>
      <ul class="token-legend" role="list" aria-label="What the bars are">
        ${kinds.map(({ id, name }) => html`<li key=${id}><span class=${`token-dot bar-${id || "out"}`} aria-hidden="true"></span>${name}</li>`)}
      </ul>
    </div>`;
}
