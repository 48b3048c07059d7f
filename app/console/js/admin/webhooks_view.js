// `/webhooks`: addresses that are told what happens, and what they were told.

import { html, useState } from "../../vendor/preact.js";
import { api } from "../api.js";
import { Button } from "../ui/button.js";
import { confirm } from "../ui/dialog.js";
import { usePages } from "../ui/loading.js";
import { Menu } from "../ui/menu.js";
import { Badge, Empty, Notice } from "../ui/states.js";
import { RelativeTime } from "../ui/time.js";
import { toast } from "../ui/toast.js";
import { useAgentNames } from "./agent_names.js";
import { Deliveries } from "./deliveries.js";
import { More } from "./more.js";
import { PageHead } from "./page_head.js";
import { WebhookForm } from "./webhook_form.js";

export default function WebhooksView() {
  const pages = usePages("/webhooks");
  const names = useAgentNames(pages.items.map((webhook) => webhook.agent_id));
  const [open, setOpen] = useState(null);
  const close = () => setOpen(null);
  return html`<div class="page page-narrow">
    <${PageHead} title="Webhooks" text="A webhook tells an address of yours what happens in the chats of an agent.">
      <${Button} kind="primary" icon="plus" onClick=${() => setOpen({ what: "new" })}>New webhook<//>
    <//>
    ${pages.problem && html`<${Notice} problem=${pages.problem} action=${{ label: "Try again", onClick: pages.reload }} />`}
    ${pages.items.length > 0 && html`<ul class="cards" role="list">${pages.items.map((webhook) => html`<${Webhook} key=${webhook.id} webhook=${webhook}
      agent=${webhook.agent_id === null ? null : names.get(webhook.agent_id) ?? "an agent"} onOpen=${(what) => setOpen({ what, webhook })} onDeleted=${pages.reload} />`)}</ul>`}
    ${pages.items.length === 0 && !pages.loading && !pages.problem && html`<${Empty} icon="zap" title="No webhooks yet"
      text="Let an address of yours know when an answer is there, has failed, or waits for a person." />`}
    <${More} pages=${pages} />
    ${open?.what === "new" && html`<${WebhookForm} names=${names} onClose=${close} onSaved=${pages.reload} />`}
    ${open?.what === "change" && html`<${WebhookForm} webhook=${open.webhook} names=${names} onClose=${close} onSaved=${pages.reload} />`}
    ${open?.what === "deliveries" && html`<${Deliveries} webhook=${open.webhook} onClose=${close} />`}
  </div>`;
}

function Webhook({ webhook, agent, onOpen, onDeleted }) {
  const [problem, setProblem] = useState(null);
  const remove = async () => {
    const isSure = await confirm({ title: "Delete this webhook?", text: html`<span dir="auto">${webhook.url}</span> is told nothing more.`, action: "Delete", danger: true });
    if (!isSure) return;
    try {
      await api.delete(`/webhooks/${webhook.id}`);
      toast("The webhook is deleted.");
      onDeleted();
    } catch (failure) {
      setProblem(failure);
    }
  };
  return html`<li class="card stack stack-tight">
    <div class="row row-between card-head">
      <h2 class="card-title"><code>${webhook.url}</code></h2>
      <div class="row">
        <${Button} size="small" aria-label=${`What ${webhook.url} was told`} onClick=${() => onOpen("deliveries")}>Deliveries<//>
        <${Menu} label=${`Actions for ${webhook.url}`} size="small" items=${[
          { label: "Change", icon: "pencil", onSelect: () => onOpen("change") },
          { label: "Delete…", icon: "trash", danger: true, onSelect: remove },
        ]} />
      </div>
    </div>
    <p class="small">${webhook.events.map((event) => html`<${Badge} key=${event}>${event}<//> `)}</p>
    <p class="small muted">${agent === null ? "All agents" : html`Agent <span dir="auto">${agent}</span>`}, made by <span dir="auto">${webhook.user_id}</span> <${RelativeTime} at=${webhook.created_at} /></p>
    ${problem && html`<${Notice} problem=${problem} />`}
  </li>`;
}
