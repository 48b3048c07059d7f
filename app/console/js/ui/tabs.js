import { html, useId, useRef, useState } from "../../vendor/preact.js";

/** Tabs with their panels. `tabs`: `{id, label, content}`, where `content` is a function that draws the panel. */
export function Tabs({ label, tabs, selected, onSelect }) {
  const [own, setOwn] = useState(tabs[0]?.id);
  const list = useRef(null);
  const id = useId();
  const current = tabs.find((tab) => tab.id === (selected ?? own)) ?? tabs[0];
  const select = (tab) => {
    setOwn(tab.id);
    onSelect?.(tab.id);
  };
  const onKeyDown = (event) => {
    const at = tabs.indexOf(current);
    const forward = getComputedStyle(list.current).direction === "rtl" ? "ArrowLeft" : "ArrowRight";
    const backward = forward === "ArrowRight" ? "ArrowLeft" : "ArrowRight";
    const to = { [forward]: (at + 1) % tabs.length, [backward]: (at - 1 + tabs.length) % tabs.length, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    select(tabs[to]);
    list.current.children[to].focus();
  };
  return html`<div class="stack">
    <div ref=${list} class="tabs" role="tablist" aria-label=${label} onKeyDown=${onKeyDown}>
      ${tabs.map((tab) => html`<button key=${tab.id} type="button" role="tab" class="tab" id=${`${id}-${tab.id}`} aria-selected=${String(tab === current)}
        aria-controls=${`${id}-panel`} tabindex=${tab === current ? 0 : -1} onClick=${() => select(tab)}>${tab.label}</button>`)}
    </div>
    <div id=${`${id}-panel`} role="tabpanel" aria-labelledby=${`${id}-${current?.id}`} key=${current?.id}>${current?.content()}</div>
  </div>`;
}
