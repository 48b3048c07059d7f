// Asking a provider's server: one smallest request, and the models that it lists.

import { html, useEffect, useState } from "../../vendor/preact.js";
import { api } from "../api.js";
import { Button } from "../ui/button.js";
import { Dialog } from "../ui/dialog.js";
import { useLoad } from "../ui/loading.js";
import { Badge, Notice, Spinner } from "../ui/states.js";
import { RelativeTime } from "../ui/time.js";
import { formatCount, formatDuration } from "../usage/numbers.js";
import { TextField } from "./form.js";
import { useRequest } from "./request.js";

/** Checks at once, and again with a model of one's choice. */
export function CheckProvider({ provider, onClose }) {
  const [model, setModel] = useState("");
  const [found, setFound] = useState(null);
  const request = useRequest();
  const check = () =>
    request.run(async () => {
      setFound(null);
      setFound(await api.post(`/providers/${provider.name}/check${model.trim() === "" ? "" : `?${new URLSearchParams({ model: model.trim() })}`}`));
    });
  useEffect(() => {
    check();
  }, []);
  const submit = (event) => {
    event.preventDefault();
    check();
  };
  return html`<${Dialog} title=${`Check ${provider.name}`} onClose=${onClose}>
    <div class="check-result" role="status">
      ${request.busy && html`<${Spinner} label="Asking the server" />`}
      ${found && html`<${Found} found=${found} />`}
    </div>
    ${request.problem && html`<${Notice} problem=${request.problem} />`}
    <form class="check-again" onSubmit=${submit}>
      <${TextField} label="Model" help="Empty: the default one." value=${model} maxLength=${200} onInput=${setModel} />
      <${Button} type="submit" disabled=${request.busy}>Check again<//>
    </form>
  <//>`;
}

function Found({ found }) {
  return html`<p class="check-line">
      <${Badge} kind=${found.ok ? "accent" : "danger"}>${found.ok ? "works" : "failed"}<//>
      <span>${formatDuration(found.latency_ms / 1000)}</span>
      ${found.status !== null && html`<span>status ${found.status}</span>`}
      ${found.model !== null && html`<span>model <code>${found.model}</code></span>`}
    </p>
    ${found.reason && html`<figure class="quote"><figcaption>${found.status === null ? "What went wrong" : "What the server said"}</figcaption>
      <blockquote dir="auto">${found.reason}</blockquote></figure>`}`;
}

export function ProviderModels({ provider, onClose }) {
  const { data, problem, loading, reload } = useLoad(() => api.get(`/providers/${provider.name}/models`), [provider.name]);
  return html`<${Dialog} title=${`Models of ${provider.name}`} onClose=${onClose} wide=${true}>
    ${loading && html`<${Spinner} label="Asking the server" />`}
    ${problem && html`<${Notice} problem=${problem} action=${{ label: "Try again", onClick: reload }} />`}
    ${data && data.data.length === 0 && html`<p>The server lists no models.</p>`}
    ${data && data.data.length > 0 && html`<ul class="model-list" role="list">
      ${data.data.map((model) => html`<li key=${model.id}><code>${model.id}</code>
        ${model.name && model.name !== model.id && html`<span dir="auto"> ${model.name}</span>`}
        ${model.context_window !== null && html`<span class="muted"> ${formatCount(model.context_window)} tokens</span>`}</li>`)}
    </ul>
    <p class="small muted">As the server listed them <${RelativeTime} at=${data.listed_at} />.</p>`}
  <//>`;
}
