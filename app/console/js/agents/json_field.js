// A field for JSON: says where it is wrong while one types.
import { html } from "../../vendor/preact.js";
import { Button } from "../ui/button.js";
import { parseJson } from "./draft.js";
import { LongField } from "./fields.js";

/** `check(value)` says in a sentence what is wrong with a value that is JSON, or nothing. */
export function JsonField({ form, path, errorPath = path, label, help, rows = 8, example, check, optional }) {
  const text = form.get(path);
  const { value, error } = text.trim() ? parseJson(text) : { value: null, error: null };
  const mistake = error?.message ?? (text.trim() && check?.(value)) ?? "";
  return html`
    <div class="json-field">
      <${LongField} form=${form} path=${path} label=${label} help=${help} rows=${rows} optional=${optional} mono error=${form.error(errorPath) || mistake} />
      ${!form.readOnly && html`
        <div class="row">
          ${text.trim() && html`<${Button} size="small" disabled=${Boolean(error)} onClick=${() => form.set(path, JSON.stringify(value, null, 2))}>Tidy up<//>`}
          ${!text.trim() && example && html`<${Button} size="small" onClick=${() => form.set(path, JSON.stringify(example, null, 2))}>Start from an example<//>`}
          ${text.trim() && !mistake && html`<span class="json-fine">Valid JSON</span>`}
        </div>`}
    </div>`;
}

/** What is wrong with a value that should be an object. */
export const checkObject = (value) =>
  value && typeof value === "object" && !Array.isArray(value) ? "" : "This must be an object: { … }.";

/** What a page can say about a JSON Schema of an object; the service checks the rest. */
export function checkSchema(value) {
  const mistake = checkObject(value);
  if (mistake) return mistake;
  if (value.type !== "object") return "At its top a schema says \"type\": \"object\".";
  const missing = (value.required ?? []).filter?.((name) => !(name in (value.properties ?? {}))) ?? [];
  return missing.length ? `Required, but not among the properties: ${missing.join(", ")}.` : "";
}
