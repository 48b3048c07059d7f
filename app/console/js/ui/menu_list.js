// The list of a menu that is open. Loaded when one is opened.
import { html, useLayoutEffect, useRef } from "../../vendor/preact.js";
import { Icon } from "./icon.js";

const GAP_PX = 4;

/** `anchor` is a ref to the element that has the button. `close(refocus)` closes the menu. */
export default function MenuList({ id, label, anchor, close, items }) {
  const box = useRef(null);

  useLayoutEffect(() => {
    const menu = box.current;
    menu.showPopover();
    place(menu, anchor.current.getBoundingClientRect());
    itemsOf(menu)[0]?.focus();
    const leave = (event) => {
      if (!menu.contains(event.target) && !anchor.current.contains(event.target)) close(false);
    };
    const scrolled = (event) => menu.contains(event.target) || close(false);
    document.addEventListener("pointerdown", leave, true);
    window.addEventListener("scroll", scrolled, true);
    window.addEventListener("resize", scrolled);
    return () => {
      document.removeEventListener("pointerdown", leave, true);
      window.removeEventListener("scroll", scrolled, true);
      window.removeEventListener("resize", scrolled);
    };
  }, []);

  const onKeyDown = (event) => {
    const all = itemsOf(box.current);
    const at = all.indexOf(document.activeElement);
    const to = { ArrowDown: (at + 1) % all.length, ArrowUp: (at - 1 + all.length) % all.length, Home: 0, End: all.length - 1 }[event.key];
    if (to !== undefined) all[to]?.focus();
    else if (event.key === "Escape") close(true);
    else if (event.key === "Tab") close(false);
    else {
      if (event.key.length === 1) all.find((each) => each.textContent.trim().toLowerCase().startsWith(event.key.toLowerCase()))?.focus();
      return;
    }
    if (event.key !== "Tab") event.preventDefault();
    event.stopPropagation();
  };

  return html`<div ref=${box} id=${id} class="menu" role="menu" aria-label=${label} popover="manual" onKeyDown=${onKeyDown}>
    ${items.filter((item) => item !== false).map((item) => (item ? entry(item, close) : html`<hr class="menu-line" />`))}
  </div>`;
}

function entry({ label, icon, onSelect, href, danger, disabled, checked }, close) {
  const select = (event) => {
    event.stopPropagation();
    if (disabled) {
      event.preventDefault();
      return;
    }
    close(true);
    onSelect?.(event);
  };
  const shared = {
    class: `menu-item ${danger ? "menu-item-danger" : ""}`,
    role: checked === undefined ? "menuitem" : "menuitemradio",
    tabIndex: -1,
    "aria-disabled": disabled ? "true" : undefined,
    "aria-checked": checked === undefined ? undefined : String(checked),
    onClick: select,
  };
  const content = html`${icon && html`<${Icon} name=${icon} />`}<span class="grow">${label}</span>${checked && html`<${Icon} name="check" size="small" />`}`;
  return href && !disabled ? html`<a href=${href} ...${shared}>${content}</a>` : html`<button type="button" ...${shared}>${content}</button>`;
}

function itemsOf(menu) {
  return [...menu.querySelectorAll("[role^=menuitem]:not([aria-disabled=true])")];
}

/** Below the button where there is room, else above it; its end at the button's end where it would leave the window. */
function place(menu, at) {
  const { offsetWidth: width, offsetHeight: height } = menu;
  const rtl = getComputedStyle(menu).direction === "rtl";
  const below = at.bottom + GAP_PX + height <= innerHeight || at.top < height;
  let left = rtl ? at.right - width : at.left;
  if (left + width > innerWidth - GAP_PX) left = at.right - width;
  menu.style.top = `${Math.max(GAP_PX, below ? at.bottom + GAP_PX : at.top - GAP_PX - height)}px`;
  menu.style.left = `${Math.min(Math.max(GAP_PX, left), Math.max(GAP_PX, innerWidth - width - GAP_PX))}px`;
}
