// Dialogs that any part of the page opens, drawn in the page's one tree: ids stay unique, and labels find their fields.
import { html } from "../../vendor/preact.js";
import { createStore, useStore } from "../signals.js";

const opened = createStore([]);
let next = 0;

/** Draw a component with these props and `onClose`, which ends it. */
export function openOverlay(component, props = {}) {
  const id = ++next;
  const onClose = () => opened.set((all) => all.filter((each) => each.id !== id));
  opened.set((all) => [...all, { id, component, props: { ...props, onClose } }]);
}

/** The place of the overlays: once in the page. */
export function Overlays() {
  return useStore(opened).map(({ id, component, props }) => html`<${component} key=${id} ...${props} />`);
}
