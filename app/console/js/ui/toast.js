import { html } from "../../vendor/preact.js";
import { createStore, useStore } from "../signals.js";
import { IconButton } from "./button.js";

const SHOWN_MS = 6000;
const shown = createStore([]);
let next = 0;

/** Say in a corner that something happened. `action` is `{label, onClick}`; `kind` is "" or danger. */
export function toast(text, { kind = "", action = null, ms = SHOWN_MS } = {}) {
  const id = ++next;
  shown.set((all) => [...all.slice(-2), { id, text, kind, action }]);
  setTimeout(() => close(id), ms);
}

function close(id) {
  shown.set((all) => all.filter((each) => each.id !== id));
}

/** The place of the toasts: once in the page. */
export function Toasts() {
  const all = useStore(shown);
  return html`<div class="toasts" role="status" aria-live="polite">
    ${all.map(({ id, text, kind, action }) => html`<div key=${id} class=${`toast ${kind && `toast-${kind}`}`}>
      <span class="grow" dir="auto">${text}</span>
      ${action && html`<button type="button" class="button button-quiet button-small" onClick=${() => {
        close(id);
        action.onClick();
      }}>${action.label}</button>`}
      <${IconButton} icon="x" size="small" label="Close" onClick=${() => close(id)} />
    </div>`)}
  </div>`;
}
