// Fields of the form: each is bound to a path of the draft, with its label, a sentence of help and its mistake.
import { html, useLayoutEffect, useRef } from "../../vendor/preact.js";
import { Combobox } from "../ui/combobox.js";
import { Field, Select, TextArea, TextInput } from "../ui/fields.js";

export function Section({ id, title, help, children }) {
  return html`
    <section class="form-section" id=${`section-${id}`} aria-labelledby=${`title-${id}`}>
      <header class="form-section-head">
        <h2 id=${`title-${id}`} tabindex="-1">${title}</h2>
        ${help && html`<p class="section-help">${help}</p>`}
      </header>
      ${children}
    </section>`;
}

const setting = (form, path) => (value) => form.set(path, value);

export function TextField({ form, path, errorPath = path, label, help, ...more }) {
  return html`<${Field} label=${label} help=${help} error=${form.error(errorPath)}>
    <${TextInput} autocomplete="off" value=${form.get(path)} onInput=${setting(form, path)} readonly=${form.readOnly} ...${more} />
  <//>`;
}

/** A number, as text: what is typed stays as it is, also where it is no number. Empty means the default. */
export function NumberField({ form, path, errorPath = path, label, help, placeholder, min, max, step }) {
  return html`<${Field} label=${label} help=${help} error=${form.error(errorPath)}>
    <${TextInput} type="number" class="input-number" inputmode=${step === "1" ? "numeric" : "decimal"} autocomplete="off" placeholder=${placeholder}
      min=${min} max=${max} step=${step === "1" ? "1" : "any"} value=${form.get(path)} onInput=${setting(form, path)} readonly=${form.readOnly} />
  <//>`;
}

export function ChoiceField({ form, path, errorPath = path, label, help, options, warn }) {
  return html`<${Field} class=${warn ? "field-warning" : ""} label=${label} help=${help} error=${form.error(errorPath)}>
    <${Select} options=${options} value=${form.get(path)} onChange=${setting(form, path)} disabled=${form.readOnly} />
  <//>`;
}

/** Text for which there are suggestions; any other may be typed. */
export function SuggestField({ form, path, errorPath = path, label, help, placeholder, suggestions }) {
  const control = form.readOnly
    ? html`<${TextInput} value=${form.get(path)} readonly />`
    : html`<${Combobox} value=${form.get(path)} options=${suggestions} onInput=${setting(form, path)} placeholder=${placeholder} spellcheck=${false} maxlength="200" />`;
  return html`<${Field} label=${label} help=${help} error=${form.error(errorPath)}>${control}<//>`;
}

/** Text of several lines. With `grows` the field is as high as its text, within the screen. */
export function LongField({ form, path, errorPath = path, label, help, error, rows, mono, grows, placeholder, maxlength, optional }) {
  const place = useRef(null);
  const text = form.get(path);
  useLayoutEffect(() => {
    const area = grows && place.current?.querySelector("textarea");
    if (!area) return;
    area.style.blockSize = "auto";
    area.style.blockSize = `${Math.min(area.scrollHeight + 2, Math.max(320, window.innerHeight * 0.7))}px`;
  }, [grows, text]);
  return html`<div ref=${place}><${Field} label=${label} help=${help} optional=${optional} error=${error ?? form.error(errorPath)}>
    <${TextArea} mono=${mono} rows=${rows} spellcheck=${!mono} placeholder=${placeholder} maxlength=${maxlength}
      value=${text} onInput=${setting(form, path)} readonly=${form.readOnly} />
  <//></div>`;
}
