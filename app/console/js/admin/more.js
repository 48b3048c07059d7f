// The foot of a list that comes in pages.

import { html } from "../../vendor/preact.js";
import { Button } from "../ui/button.js";
import { Spinner } from "../ui/states.js";

/** `pages` as `usePages` gives it. */
export function More({ pages }) {
  if (pages.loading && pages.items.length === 0) return html`<${Spinner} label="Loading" />`;
  if (!pages.more) return null;
  return html`<p class="more"><${Button} busy=${pages.loading} onClick=${pages.loadMore}>Show more<//></p>`;
}
