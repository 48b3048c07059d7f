// A drawing of what a memory strategy sends of a sample thread: one bar for each message, filled where it is sent.
import { html } from "../../vendor/preact.js";

const MOST_BARS = 48;
// How long the messages of the sample are, in turn: strategies that count tokens need long and short ones.
const LENGTHS = [14, 30, 10, 22, 18, 40, 12, 26];

const whole = (text, fallback, least) => {
  const value = Number.parseInt(text, 10);
  return Number.isFinite(value) && value >= least ? value : fallback;
};

/** Which of the messages of a sample thread are sent: `{bars: [{sent, height}], summary, scale, sentence}`. */
export function sampleOf(strategy, fields) {
  const { count, scale } = sizeOf(strategy, fields);
  const bars = Array.from({ length: count }, (_, index) => ({ index, height: LENGTHS[index % LENGTHS.length], sent: true }));
  const keep = (test) => bars.forEach((bar) => { bar.sent = test(bar.index); });
  const messages = count * scale;
  const kept = (number) => Math.round(number / scale);
  if (strategy === "last_n") {
    const n = whole(fields.n, 20, 1);
    const step = whole(fields.step, 1, 1);
    keep((index) => index >= count - kept(n));
    const more = step > 1 ? ` The edge stays for ${step} messages, then moves by ${step} at once, so caches of providers work.` : "";
    return { bars, scale, sentence: `Of a chat with ${messages} messages the model is sent the last ${n}.${more}` };
  }
  if (strategy === "first_last") {
    const first = whole(fields.first, 2, 0);
    const last = whole(fields.last, 10, 1);
    keep((index) => index < kept(first) || index >= count - kept(last));
    return { bars, scale, sentence: `Of a chat with ${messages} messages the model is sent the first ${first} and the last ${last}.` };
  }
  if (strategy === "summarize") {
    const recent = whole(fields.recent, 10, 1);
    keep((index) => index >= count - kept(recent));
    return { bars, scale, summary: true, sentence: `Older messages become a summary, which the model is sent with the last ${recent} messages or more.` };
  }
  if (strategy === "token_window") {
    const most = whole(fields.max_tokens, 100000, 1);
    const total = LENGTHS.reduce((sum, each) => sum + each, 0) * (count / LENGTHS.length);
    let left = total * 0.45;
    for (const bar of [...bars].reverse()) {
      left -= bar.height;
      bar.sent = left >= 0;
    }
    return { bars, scale, sentence: `The model is sent as many of the last messages as fit into ${most.toLocaleString("en")} tokens: long messages leave room for fewer.` };
  }
  return { bars, scale, sentence: `The model is sent all that fits its window.` };
}

function sizeOf(strategy, fields) {
  const wanted = { last_n: whole(fields.n, 20, 1), first_last: whole(fields.first, 2, 0) + whole(fields.last, 10, 1), summarize: whole(fields.recent, 10, 1) }[strategy] ?? 12;
  const messages = Math.max(24, Math.ceil((wanted * 1.6) / 2) * 2);
  const scale = Math.max(1, Math.ceil(messages / MOST_BARS));
  return { count: Math.ceil(messages / scale / 8) * 8, scale };
}

/** The drawing, with its sentence below it. */
export function MemoryDrawing({ strategy, fields }) {
  const { bars, scale, summary, sentence } = sampleOf(strategy, fields);
  const gap = 2;
  const width = 8;
  const left = summary ? bars.findIndex((bar) => bar.sent) * (width + gap) - gap : 0;
  return html`
    <figure class="memory-drawing">
      <svg viewBox=${`0 0 ${bars.length * (width + gap) - gap} 62`} aria-hidden="true" preserveAspectRatio="xMinYMax meet">
        ${bars.map((bar) => html`<rect key=${bar.index} class=${bar.sent ? "memory-bar sent" : "memory-bar"}
          x=${bar.index * (width + gap) + 0.5} y=${48.5 - bar.height} width=${width - 1} height=${bar.height} rx="2" />`)}
        ${summary && left > 0 && html`<rect class="memory-bar summary" x="0.5" y="53" width=${left - 1} height="8" rx="3" />`}
      </svg>
      <figcaption>${sentence}${scale > 1 ? ` Each bar stands for ${scale} messages.` : ""}${summary ? " The bar below is the summary." : ""}</figcaption>
    </figure>`;
}
