import { html, useId, useLayoutEffect, useRef } from "../../vendor/preact.js";
import { createStore, useStore } from "../signals.js";
import { Button, IconButton } from "./button.js";

/**
 * A modal dialog, as long as it is drawn. Escape, the cross and a click beside it call `onClose`.
 * The focus goes to the element with `autofocus`, else to the first control, and back at the end.
 */
export function Dialog({ title, onClose, wide = false, class: more = "", children }) {
  const box = useRef(null);
  const id = useId();
  useLayoutEffect(() => {
    const before = document.activeElement;
    box.current.showModal();
    box.current.querySelector("[autofocus]")?.focus();
    return () => before?.isConnected && before.focus();
  }, []);
  // A press that began inside (selecting text, say) is no click beside it.
  const pressed = useRef(false);
  return html`<dialog ref=${box} class=${`dialog ${wide ? "dialog-wide" : ""} ${more}`} aria-labelledby=${id}
    onCancel=${(event) => {
      event.preventDefault();
      onClose();
    }}
    onPointerDown=${(event) => (pressed.current = event.target === box.current)}
    onClick=${(event) => event.target === box.current && pressed.current && onClose()}>
    <div class="dialog-head"><h2 id=${id}>${title}</h2><${IconButton} icon="x" label="Close" onClick=${onClose} /></div>
    <div class="dialog-body">${children}</div>
  </dialog>`;
}

const asked = createStore(null);

/**
 * Ask before something that cannot be undone: `await confirm({title, text, action: "Delete", danger: true})`.
 * `text` may be a template. Gives true or false.
 */
export function confirm({ title, text = "", action = "OK", danger = false }) {
  return new Promise((resolve) => {
    asked.get()?.resolve(false);
    asked.set({ title, text, action, danger, resolve });
  });
}

/** The place of `confirm`'s dialog: once in the page. */
export function Confirmations() {
  const question = useStore(asked);
  if (!question) return null;
  const answer = (value) => {
    asked.set(null);
    question.resolve(value);
  };
  return html`<${Dialog} title=${question.title} onClose=${() => answer(false)}>
    ${question.text && html`<p>${question.text}</p>`}
    <div class="row row-end">
      <${Button} onClick=${() => answer(false)} autofocus=${question.danger}>Cancel<//>
      <${Button} kind=${question.danger ? "danger" : "primary"} autofocus=${!question.danger} onClick=${() => answer(true)}>${question.action}<//>
    </div>
  <//>`;
}
