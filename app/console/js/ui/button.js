import { html } from "../../vendor/preact.js";
import { Icon } from "./icon.js";

/**
 * A button, or a link that looks like one where it has an `href`. `kind`: primary, secondary, quiet, danger.
 * While `busy` it shows that it works and does nothing.
 */
export function Button({ kind = "secondary", size = "", icon, busy = false, wide = false, disabled, onClick, children, class: more = "", href, type = "button", ...rest }) {
  const classes = `button button-${kind} ${size && `button-${size}`} ${wide ? "button-wide" : ""} ${more}`;
  const content = html`${busy ? html`<span class="spinner" aria-hidden="true"></span>` : icon && html`<${Icon} name=${icon} />`}${children}`;
  if (href) return html`<a class=${classes} href=${href} onClick=${onClick} ...${rest}>${content}</a>`;
  return html`<button class=${classes} type=${type} disabled=${disabled} aria-disabled=${busy ? "true" : undefined}
    onClick=${(event) => (busy ? event.preventDefault() : onClick?.(event))} ...${rest}>${content}</button>`;
}

/** A button with an icon alone; `label` is its name and its tooltip. */
export function IconButton({ icon, label, kind = "quiet", size = "", busy = false, class: more = "", href, ...rest }) {
  return html`<${Button} kind=${kind} size=${size} icon=${icon} busy=${busy} href=${href} class=${`button-icon ${more}`}
    aria-label=${label} title=${label} ...${rest} />`;
}
