import { html, useId, useLayoutEffect, useRef } from "../../vendor/preact.js";
import { Button, IconButton } from "./button.js";
import { openOverlay } from "./overlay.js";

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

/**
 * Ask before something that cannot be undone: `await confirm({title, text, action: "Delete", danger: true})`.
 * `text` may be a template. Gives true or false.
 */
export function confirm({ title, text = "", action = "OK", danger = false }) {
  return new Promise((resolve) => openOverlay(Question, { title, text, action, danger, resolve }));
}

function Question({ title, text, action, danger, resolve, onClose }) {
  const answer = (value) => {
    onClose();
    resolve(value);
  };
  return html`<${Dialog} title=${title} onClose=${() => answer(false)}>
    ${text && html`<p>${text}</p>`}
    <div class="row row-end">
      <${Button} onClick=${() => answer(false)} autofocus=${danger}>Cancel<//>
      <${Button} kind=${danger ? "danger" : "primary"} autofocus=${!danger} onClick=${() => answer(true)}>${action}<//>
    </div>
  <//>`;
}
