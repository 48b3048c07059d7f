import { html, useId, useRef, useState } from "../../vendor/preact.js";
import { IconButton, Button } from "./button.js";
import { Lazy } from "./lazy.js";

const loadList = () => import("./menu_list.js");

/**
 * A button that opens a menu. `items`: `{label, icon, onSelect, href, danger, disabled, checked}` or null for a line.
 * With `text` the button has words, else the icon alone; `label` is its name.
 */
export function Menu({ label, items, icon = "ellipsis", text = "", size = "", kind = "quiet", class: more = "" }) {
  const [open, setOpen] = useState(false);
  const anchor = useRef(null);
  const id = useId();

  const close = (refocus) => {
    setOpen(false);
    if (refocus) anchor.current?.querySelector("button")?.focus();
  };
  const control = {
    onClick: (event) => {
      event.preventDefault();
      event.stopPropagation();
      setOpen(!open);
    },
    "aria-haspopup": "menu",
    "aria-expanded": String(open),
    "aria-controls": open ? id : undefined,
  };
  return html`<span class=${`menu-anchor ${more}`} ref=${anchor}>
    ${text
      ? html`<${Button} kind=${kind} size=${size} icon=${icon} aria-label=${label} ...${control}>${text}<//>`
      : html`<${IconButton} kind=${kind} size=${size} icon=${icon} label=${label} ...${control} />`}
    ${open && html`<${Lazy} load=${loadList} id=${id} label=${label} anchor=${anchor} close=${close} items=${items} />`}
  </span>`;
}
