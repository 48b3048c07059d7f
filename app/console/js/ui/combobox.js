import { html, useEffect, useId, useRef, useState } from "../../vendor/preact.js";

/**
 * A text with suggestions. `options`: texts, or `{value, label, detail}`. `onInput(value)` is called for each change;
 * with `free` false only a suggestion stays. Suggestions are those that contain what is typed.
 */
export function Combobox({ value, options, onInput, free = true, placeholder, class: more = "", ...rest }) {
  const [open, setOpen] = useState(false);
  const [typed, setTyped] = useState(null);
  const [at, setAt] = useState(-1);
  const list = useRef(null);
  const id = useId();
  const all = options.map((option) => (typeof option === "string" ? { value: option, label: option } : option));
  const shown = typed === null ? all : all.filter(({ label, value: each }) => `${label} ${each}`.toLowerCase().includes(typed.toLowerCase()));
  const text = typed ?? all.find((option) => option.value === value)?.label ?? value ?? "";

  useEffect(() => {
    list.current?.children[at]?.scrollIntoView({ block: "nearest" });
  }, [at]);

  const choose = (option) => {
    onInput(option.value);
    setTyped(null);
    setOpen(false);
    setAt(-1);
  };
  const leave = () => {
    if (typed !== null && !free) {
      const exact = all.find(({ label, value: each }) => label === typed || each === typed);
      if (exact) onInput(exact.value);
      else if (typed === "") onInput("");
    }
    setTyped(null);
    setOpen(false);
    setAt(-1);
  };
  const onKeyDown = (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setOpen(true);
      if (shown.length) setAt((at + (event.key === "ArrowDown" ? 1 : at < 0 ? 0 : -1) + shown.length) % shown.length);
    } else if (event.key === "Enter" && open && shown[at]) {
      event.preventDefault();
      choose(shown[at]);
    } else if (event.key === "Escape" && open) {
      event.preventDefault();
      event.stopPropagation();
      setOpen(false);
    }
  };
  return html`<div class="combobox">
    <input class=${`input ${more}`} type="text" role="combobox" autocomplete="off" dir="auto" value=${text} placeholder=${placeholder}
      aria-autocomplete="list" aria-expanded=${String(open && shown.length > 0)} aria-controls=${`${id}-list`}
      aria-activedescendant=${open && at >= 0 ? `${id}-${at}` : undefined}
      onInput=${(event) => {
        setTyped(event.currentTarget.value);
        setOpen(true);
        setAt(-1);
        if (free) onInput(event.currentTarget.value);
      }}
      onFocus=${() => setOpen(true)} onClick=${() => setOpen(true)} onBlur=${leave} onKeyDown=${onKeyDown} ...${rest} />
    <div ref=${list} id=${`${id}-list`} class="combobox-list" role="listbox" aria-label="Suggestions" hidden=${!open || shown.length === 0}>
      ${shown.map((option, index) => html`<div key=${option.value} id=${`${id}-${index}`} class="menu-item" role="option" aria-selected=${String(index === at)}
        onPointerDown=${(event) => {
          event.preventDefault();
          choose(option);
        }}>
        <span class="grow truncate" dir="auto">${option.label}</span>${option.detail && html`<span class="muted">${option.detail}</span>`}
      </div>`)}
    </div>
  </div>`;
}
