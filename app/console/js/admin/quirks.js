// What a server does differently from its type, as a form. Each field may be left to what is known of the model.

import { html } from "../../vendor/preact.js";
import { AreaField, SelectField, TextField } from "./form.js";

const YES_NO = [
  { value: "", label: "As known of the model" },
  { value: "true", label: "Yes" },
  { value: "false", label: "No" },
];

const choices = (...values) => [YES_NO[0], ...values.map((value) => ({ value, label: value }))];

/** The fields that have a choice, in the order of how often they are needed. */
const CHOICES = [
  { name: "tools", label: "Its models take tools" },
  { name: "images", label: "Its models take images" },
  { name: "documents", label: "Its models take PDFs" },
  { name: "parallel_calls", label: "Several tool calls in one message" },
  { name: "sampling", label: "Takes temperature and top_p" },
  { name: "stop", label: "Takes stop sequences" },
  { name: "max_tokens_field", label: "Its name for the longest answer", options: choices("max_tokens", "max_completion_tokens") },
  { name: "schema", label: "Output schemas", options: choices("enforced", "instructed") },
  { name: "reasoning", label: "Takes an effort of reasoning" },
  { name: "keeps_reasoning", label: "Takes a model's own reasoning back" },
  { name: "cache_control", label: "Takes cache_control" },
  { name: "stream_options", label: "Takes stream_options" },
  { name: "strict", label: "Responses: takes strict in tools" },
  { name: "store", label: "Responses: takes store" },
  { name: "reasoning_summary", label: "Responses: gives summaries of reasoning" },
  { name: "encrypted_reasoning", label: "Responses: gives encrypted reasoning" },
];

/** `{name: text}` for the form, from the API's quirks. */
export function draftOf(quirks) {
  const draft = { context_window: quirks?.context_window?.toString() ?? "", finish_reasons: reasonsText(quirks?.finish_reasons) };
  for (const { name } of CHOICES) draft[name] = quirks?.[name]?.toString() ?? "";
  return draft;
}

const reasonsText = (reasons) => Object.entries(reasons ?? {}).map(([word, meaning]) => `${word} = ${meaning}`).join("\n");

/** The API's quirks from the form: what is left to what is known is left out. */
export function quirksOf(draft) {
  const quirks = {};
  for (const { name, options } of CHOICES) if (draft[name] !== "") quirks[name] = options ? draft[name] : draft[name] === "true";
  if (draft.context_window.trim() !== "") quirks.context_window = Number(draft.context_window);
  const pairs = draft.finish_reasons.split("\n").map((line) => line.split("=").map((part) => part.trim())).filter(([word]) => word !== "");
  if (pairs.length > 0) quirks.finish_reasons = Object.fromEntries(pairs.map(([word, meaning]) => [word, meaning ?? ""]));
  return quirks;
}

/** `draft` as `draftOf` gives it; `errors` by the names of fields. */
export function QuirksFields({ draft, errors, onChange }) {
  const set = (name, value) => onChange({ ...draft, [name]: value });
  return html`<div class="form-grid">
    <${TextField} label="Context window" help="Tokens, question and answer together. Empty: as known of the model." inputMode="numeric" value=${draft.context_window}
      error=${errors["quirks.context_window"]} onInput=${(value) => set("context_window", value)} />
    ${CHOICES.map(({ name, label, options }) => html`<${SelectField} key=${name} label=${label} value=${draft[name]} options=${options ?? YES_NO}
      error=${errors[`quirks.${name}`]} onChange=${(value) => set(name, value)} />`)}
    <div class="form-whole">
      <${AreaField} label="Finish reasons" help="One in a line, “reason = meaning”: stop, length, tool_calls, content_filter or error. Such as “eos = stop”." rows=${2}
        value=${draft.finish_reasons} error=${errors["quirks.finish_reasons"]} onInput=${(value) => set("finish_reasons", value)} />
    </div>
  </div>`;
}
