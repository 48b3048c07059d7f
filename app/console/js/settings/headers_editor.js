// Names and values of HTTP headers, as rows.
import { html } from "../../vendor/preact.js";
import { Button, IconButton } from "../ui/button.js";
import { TextInput } from "../ui/fields.js";

export const NO_HEADERS = [{ name: "", value: "" }];

/** The headers of rows; rows without a name do not count. */
export const headersOf = (rows) => Object.fromEntries(rows.filter(({ name }) => name.trim()).map(({ name, value }) => [name.trim(), value]));

/** `rows`: `[{name, value}]`. Values are hidden as they are typed: they are secrets. */
export function HeadersEditor({ label, help, rows, onChange, error }) {
  const change = (index, more) => onChange(rows.map((row, at) => (at === index ? { ...row, ...more } : row)));
  return html`
    <fieldset class="headers-editor">
      <legend class="field-label">${label}</legend>
      ${help && html`<p class="field-help">${help}</p>`}
      ${rows.map((row, index) => html`
        <div class="header-line" key=${index}>
          <${TextInput} mono aria-label=${`Name of header ${index + 1}`} placeholder="Authorization" value=${row.name} onInput=${(name) => change(index, { name })} autocomplete="off" spellcheck=${false} />
          <${TextInput} mono type="password" aria-label=${`Value of header ${index + 1}`} placeholder="Bearer …" value=${row.value} onInput=${(value) => change(index, { value })} autocomplete="new-password" />
          <${IconButton} icon="x" size="small" label=${`Remove header ${index + 1}`} onClick=${() => onChange(rows.length > 1 ? rows.filter((_, at) => at !== index) : NO_HEADERS)} />
        </div>`)}
      ${error && html`<p class="field-error" role="alert">${error}</p>`}
      <div><${Button} size="small" icon="plus" onClick=${() => onChange([...rows, { name: "", value: "" }])}>Another header<//></div>
    </fieldset>`;
}
