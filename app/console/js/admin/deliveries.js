// What a webhook was told, and whether it took it.

import { html } from "../../vendor/preact.js";
import { api } from "../api.js";
import { Button } from "../ui/button.js";
import { Dialog } from "../ui/dialog.js";
import { usePages } from "../ui/loading.js";
import { Badge, Notice } from "../ui/states.js";
import { RelativeTime } from "../ui/time.js";
import { toast } from "../ui/toast.js";
import { More } from "./more.js";
import { Records } from "./records.js";
import { useRequest } from "./request.js";

const TONES = { delivered: "accent", failed: "danger", pending: "warning" };

export function Deliveries({ webhook, onClose }) {
  const pages = usePages(`/webhooks/${webhook.id}/deliveries`);
  const columns = [
    { label: "Event", cell: (one) => html`<span class="record-name">${one.event}</span>` },
    { label: "Status", cell: (one) => html`<${Badge} kind=${TONES[one.status]}>${one.status}<//>` },
    { label: "Answer", cell: (one) => one.last_status ?? html`<span class="muted">none</span>` },
    { label: "Attempts", isNumber: true, cell: (one) => one.attempts },
    { label: "When", cell: (one) => html`<${RelativeTime} at=${one.created_at} />` },
    { label: "Actions", isHidden: true, cell: (one) => html`<${Resend} webhook=${webhook} one=${one} onDone=${pages.reload} />` },
  ];
  return html`<${Dialog} title="Deliveries" onClose=${onClose} wide=${true}>
    <p class="small muted">What <code>${webhook.url}</code> was told in the last seven days. A failure is tried again for a day.</p>
    ${pages.problem && html`<${Notice} problem=${pages.problem} action=${{ label: "Try again", onClick: pages.reload }} />`}
    ${pages.items.length > 0 && html`<${Records} caption="Deliveries" columns=${columns} rows=${pages.items} keyOf=${(one) => one.id} />`}
    ${pages.items.length === 0 && !pages.loading && !pages.problem && html`<p>It was told nothing yet.</p>`}
    <${More} pages=${pages} />
  <//>`;
}

function Resend({ webhook, one, onDone }) {
  const request = useRequest();
  const send = () =>
    request.run(async () => {
      await api.post(`/webhooks/${webhook.id}/deliveries/${one.id}/retry`);
      toast("It is sent again.");
      onDone();
    });
  if (one.status === "pending") return null;
  return html`<${Button} size="small" busy=${request.busy} aria-label=${`Send ${one.event} again`} onClick=${send}>Send again<//>
    ${request.problem && html`<p class="field-error" role="alert">${request.problem.detail || request.problem.title}</p>`}`;
}
