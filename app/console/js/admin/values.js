// Data as people read it: names and values, one below the other. What is deeper than that stays JSON.

import { html, useState } from "../../vendor/preact.js";

// A text that is longer is folded, so that one value does not push the others out of sight.
const LONG_TEXT = 600;

const isPlain = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** The names and values of an object; `empty` is said where there are none. */
export function Values({ values, empty = "Nothing" }) {
  const entries = Object.entries(values ?? {});
  if (entries.length === 0) return html`<p class="small muted">${empty}</p>`;
  return html`<dl class="values">
    ${entries.map(([name, value]) => html`<div key=${name} class="values-row"><dt dir="auto">${name}</dt><dd><${Value} value=${value} /></dd></div>`)}
  </dl>`;
}

/** One value. */
export function Value({ value }) {
  if (typeof value === "string") return html`<${Text} text=${value} />`;
  if (value === null) return html`<code>null</code>`;
  if (typeof value !== "object") return html`<code>${String(value)}</code>`;
  if (Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === "string" && one.length <= 60)) {
    return html`<span dir="auto">${value.join(", ")}</span>`;
  }
  if (isPlain(value) && Object.keys(value).length === 0) return html`<code>{}</code>`;
  return html`<${Text} text=${JSON.stringify(value, null, 2)} isCode=${true} />`;
}

function Text({ text, isCode }) {
  const [isOpen, setOpen] = useState(false);
  if (text === "") return html`<span class="small muted">empty text</span>`;
  const isLong = text.length > LONG_TEXT;
  // Without half of a character at the end.
  const shown = isLong && !isOpen ? `${Array.from(text.slice(0, LONG_TEXT)).slice(0, -1).join("")}…` : text;
  return html`<div class=${isCode ? "values-code" : "values-text"} dir=${isCode ? "ltr" : "auto"}>${shown}</div>
    ${isLong && html`<button type="button" class="link-button" aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}>
      ${isOpen ? "Show less" : `Show all ${text.length.toLocaleString("en")} characters`}</button>`}`;
}
