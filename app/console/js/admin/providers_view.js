// `/admin/providers`: whose models agents may use, whether they can be used, and why not.

import { html, useState } from "../../vendor/preact.js";
import { api } from "../api.js";
import { openSharing } from "../sharing/open_sharing.js";
import { Button } from "../ui/button.js";
import { Dialog } from "../ui/dialog.js";
import { useLoad } from "../ui/loading.js";
import { Badge, Notice, Spinner } from "../ui/states.js";
import { toast } from "../ui/toast.js";
import { PageHead } from "./page_head.js";
import { CheckProvider, ProviderModels } from "./provider_check.js";
import { ProviderForm } from "./provider_form.js";
import { useRequest } from "./request.js";
import { Values } from "./values.js";

const SOURCES = { environment: "from the environment", file: "from the file of providers", program: "from the program" };

export default function ProvidersView() {
  const { data, problem, loading, reload } = useLoad(() => api.get("/providers"), []);
  const [open, setOpen] = useState(null);
  const close = () => setOpen(null);
  const onSaved = (provider) => {
    reload();
    setOpen({ what: "check", provider });
  };
  return html`<div class="page">
    <${PageHead} title="Providers" text="Where models answer. Agents name a provider and one of its models.">
      <${Button} kind="primary" onClick=${() => setOpen({ what: "new" })}>New provider<//>
    <//>
    ${loading && !data && html`<${Spinner} label="Loading the providers" />`}
    ${problem && html`<${Notice} problem=${problem} action=${{ label: "Try again", onClick: reload }} />`}
    ${data && html`<ul class="cards" role="list">${data.data.map((provider) => html`<${Provider} key=${provider.name} provider=${provider}
      onOpen=${(what) => setOpen({ what, provider })} />`)}</ul>`}
    ${open?.what === "new" && html`<${ProviderForm} onClose=${close} onSaved=${onSaved} />`}
    ${open?.what === "change" && html`<${ProviderForm} provider=${open.provider} onClose=${close} onSaved=${onSaved} />`}
    ${open?.what === "check" && html`<${CheckProvider} provider=${open.provider} onClose=${close} />`}
    ${open?.what === "models" && html`<${ProviderModels} provider=${open.provider} onClose=${close} />`}
    ${open?.what === "delete" && html`<${DeleteProvider} provider=${open.provider} onClose=${close} onDeleted=${() => { close(); reload(); }} />`}
  </div>`;
}

function Provider({ provider, onOpen }) {
  const { name } = provider;
  const isOurs = provider.source === "database";
  const learned = Object.keys(provider.learned ?? {}).length > 0;
  const quirks = Object.keys(provider.quirks ?? {}).length > 0;
  return html`<li class="card provider">
    <div class="provider-head">
      <h2 class="provider-name">${name}</h2>
      ${provider.default && html`<${Badge} kind="accent">default<//>`}
      <${Badge} kind=${provider.configured ? "success" : "warning"}>${provider.configured ? "can be used" : "cannot be used"}<//>
    </div>
    ${provider.reason && html`<p class="provider-reason">${provider.reason}</p>`}
    <dl class="provider-facts">
      <div><dt>API</dt><dd>${provider.preset ? `${provider.type} (${provider.preset})` : provider.type}</dd></div>
      ${provider.base_url && html`<div><dt>Address</dt><dd><code>${provider.base_url}</code></dd></div>`}
      <div><dt>Default model</dt><dd>${provider.default_model ? html`<code>${provider.default_model}</code>` : "none"}</dd></div>
      ${SOURCES[provider.source] && html`<div><dt>Comes</dt><dd>${SOURCES[provider.source]}</dd></div>`}
    </dl>
    ${(quirks || learned) && html`<details class="fold"><summary>What it does differently</summary>
      ${quirks && html`<${Values} values=${provider.quirks} />`}
      ${learned && html`<h3>Learned from refusals</h3><${Values} values=${provider.learned} />`}</details>`}
    <div class="row-actions">
      <${Button} size="small" aria-label=${`Check ${name}`} onClick=${() => onOpen("check")}>Check<//>
      <${Button} size="small" aria-label=${`Models of ${name}`} onClick=${() => onOpen("models")}>Models<//>
      <${Button} size="small" aria-label=${`Who may use ${name}`} onClick=${() => openSharing({ resourceType: "provider", resourceId: name })}>Sharing<//>
      ${isOurs && html`<${Button} size="small" aria-label=${`Change ${name}`} onClick=${() => onOpen("change")}>Change<//>
        <${Button} size="small" kind="quiet" aria-label=${`Delete ${name}`} onClick=${() => onOpen("delete")}>Delete…<//>`}
    </div>
  </li>`;
}

function DeleteProvider({ provider, onClose, onDeleted }) {
  const request = useRequest();
  const remove = () =>
    request.run(async () => {
      await api.delete(`/providers/${provider.name}`);
      toast(`${provider.name} is deleted.`);
      onDeleted();
    });
  return html`<${Dialog} title=${`Delete ${provider.name}`} onClose=${onClose}>
    <p>Agents that name it stay, and their runs fail unless a fallback answers. Its key goes with it.</p>
    ${request.problem && html`<${Notice} problem=${request.problem} />`}
    <div class="row row-end"><${Button} onClick=${onClose}>Cancel<//><${Button} kind="danger" busy=${request.busy} onClick=${remove}>Delete the provider<//></div>
  <//>`;
}
