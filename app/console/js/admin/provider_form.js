// Making a provider, and changing one. A key and headers are sent, and never come back.

import { html, useState } from "../../vendor/preact.js";
import { api } from "../api.js";
import { Button } from "../ui/button.js";
import { Dialog } from "../ui/dialog.js";
import { Switch } from "../ui/fields.js";
import { toast } from "../ui/toast.js";
import { SelectField, TextField } from "./form.js";
import { QuirksFields, draftOf, quirksOf } from "./quirks.js";
import { Failure, useRequest } from "./request.js";

const KINDS = [
  { value: "preset:groq", label: "Groq" },
  { value: "preset:mistral", label: "Mistral" },
  { value: "preset:openrouter", label: "OpenRouter" },
  { value: "preset:deepseek", label: "DeepSeek" },
  { value: "preset:xai", label: "xAI" },
  { value: "preset:together", label: "Together" },
  { value: "preset:fireworks", label: "Fireworks" },
  { value: "preset:gemini", label: "Gemini, its OpenAI side" },
  { value: "preset:azure", label: "Azure OpenAI" },
  { value: "preset:vllm", label: "vLLM" },
  { value: "preset:llamacpp", label: "llama.cpp" },
  { value: "preset:lmstudio", label: "LM Studio" },
  { value: "type:openai", label: "Another server that speaks OpenAI's API" },
  { value: "type:anthropic", label: "Another server that speaks Anthropic's API" },
  { value: "type:gemini", label: "Another server that speaks Gemini's API" },
  { value: "type:ollama", label: "Another Ollama server" },
];

// Each customer of these has an address of their own.
const NEEDS_ADDRESS = ["preset:azure"];

// The fields that show their own errors.
const FIELDS = ["name", "preset", "type", "base_url", "api_key", "headers", "default_model", "quirks"];

const NO_HEADER = { name: "", value: "" };

const headersOf = (rows) => Object.fromEntries(rows.filter(({ name }) => name.trim() !== "").map(({ name, value }) => [name.trim(), value]));

/** `provider` is the one to change; without it a new one is made. `onSaved(provider)` is told what is there now. */
export function ProviderForm({ provider, onClose, onSaved }) {
  const isNew = provider === undefined;
  const [kind, setKind] = useState("preset:groq");
  const [name, setName] = useState("");
  const [address, setAddress] = useState(provider?.base_url ?? "");
  const [apiKey, setApiKey] = useState("");
  const [dropsKey, setDropsKey] = useState(false);
  const [model, setModel] = useState(provider?.default_model ?? "");
  const [newHeaders, setNewHeaders] = useState(isNew);
  const [headers, setHeaders] = useState([]);
  const [quirks, setQuirks] = useState(() => draftOf(provider?.quirks));
  const request = useRequest();

  const create = () => {
    const [what, value] = kind.split(":");
    const body = { name: name.trim(), [what]: value, headers: headersOf(headers), quirks: quirksOf(quirks) };
    if (address.trim() !== "") body.base_url = address.trim();
    if (apiKey !== "") body.api_key = apiKey;
    if (model.trim() !== "") body.default_model = model.trim();
    return api.post("/providers", body);
  };
  const change = () => {
    const body = {};
    if (address.trim() !== (provider.base_url ?? "")) body.base_url = address.trim() || null;
    if (dropsKey) body.api_key = null;
    else if (apiKey !== "") body.api_key = apiKey;
    if (model.trim() !== (provider.default_model ?? "")) body.default_model = model.trim() || null;
    if (newHeaders) body.headers = headersOf(headers);
    const given = quirksOf(quirks);
    if (JSON.stringify(given) !== JSON.stringify(quirksOf(draftOf(provider.quirks)))) body.quirks = given;
    return api.patch(`/providers/${provider.name}`, body);
  };
  const submit = (event) => {
    event.preventDefault();
    request.run(async () => {
      const saved = await (isNew ? create() : change());
      toast(isNew ? `${saved.name} is there.` : `${saved.name} is changed.`);
      onSaved(saved);
    });
  };
  const { errors } = request;

  return html`<${Dialog} title=${isNew ? "New provider" : `Change ${provider.name}`} onClose=${onClose} wide=${true}>
    <form class="stack" onSubmit=${submit} noValidate>
      ${isNew && html`<${SelectField} label="Server" help="Well-known servers bring their address, and what they do differently." value=${kind} options=${KINDS}
          error=${errors.preset ?? errors.type} onChange=${setKind} />
        <${TextField} label="Name" help="What agents write as their provider: small letters, digits, dots, lines." value=${name} maxLength=${64} required=${true}
          error=${errors.name} onInput=${setName} />`}
      <${TextField} label="Address" type="url" value=${address} maxLength=${2000} error=${errors.base_url} onInput=${setAddress}
        help=${NEEDS_ADDRESS.includes(kind) ? "Yours: https://NAME.openai.azure.com/openai/v1." : "Empty: the usual one. For OpenAI's API it ends in /v1. It may be private."} />
      <${TextField} label="API key" type="password" autoComplete="off" value=${apiKey} maxLength=${4096} disabled=${dropsKey} error=${errors.api_key} onInput=${setApiKey}
        help=${isNew ? "Kept encrypted, and never shown again." : "Empty: the present one stays. It is never shown."} />
      ${!isNew && html`<${Switch} label="Remove the key" checked=${dropsKey} onChange=${setDropsKey} />`}
      <${TextField} label="Default model" help="For agents that name no model." value=${model} maxLength=${200} error=${errors.default_model} onInput=${setModel} />
      ${!isNew && html`<${Switch} label="Replace the headers" help="Those that are sent now are not shown; new ones take their place, all of them." checked=${newHeaders} onChange=${setNewHeaders} />`}
      ${newHeaders && html`<${Headers} rows=${headers} error=${errors.headers} onChange=${setHeaders} />`}
      <details class="fold">
        <summary>What this server does differently</summary>
        <${QuirksFields} draft=${quirks} errors=${errors} onChange=${setQuirks} />
      </details>
      <${Failure} request=${request} shown=${FIELDS} />
      <div class="row row-end"><${Button} onClick=${onClose}>Cancel<//><${Button} type="submit" kind="primary" busy=${request.busy}>${isNew ? "Make it" : "Save"}<//></div>
    </form>
  <//>`;
}

function Headers({ rows, error, onChange }) {
  const set = (index, change) => onChange(rows.map((row, at) => (at === index ? { ...row, ...change } : row)));
  return html`<fieldset class="headers-field">
    <legend class="field-label">Headers</legend>
    <p class="field-help">Sent with each request; kept encrypted, and never shown again.</p>
    ${rows.map((row, index) => html`<div key=${index} class="header-row">
      <input class="input" aria-label=${`Header ${index + 1}: name`} placeholder="Name" value=${row.name} dir="ltr" onInput=${(event) => set(index, { name: event.currentTarget.value })} />
      <input class="input" aria-label=${`Header ${index + 1}: value`} placeholder="Value" value=${row.value} dir="ltr" autocomplete="off" onInput=${(event) => set(index, { value: event.currentTarget.value })} />
      <${Button} size="small" aria-label=${`Remove header ${index + 1}`} onClick=${() => onChange(rows.filter((_, at) => at !== index))}>Remove<//>
    </div>`)}
    ${error && html`<p class="field-error" role="alert">${error}</p>`}
    <div><${Button} size="small" onClick=${() => onChange([...rows, NO_HEADER])}>Add a header<//></div>
  </fieldset>`;
}
