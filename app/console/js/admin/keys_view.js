// `/admin/keys`: the API keys of all users.

import { html, useState } from "../../vendor/preact.js";
import { Button } from "../ui/button.js";
import { usePages } from "../ui/loading.js";
import { Badge, Empty, Notice } from "../ui/states.js";
import { RelativeTime } from "../ui/time.js";
import { CreateKey, DeleteKey, EndTokens, RotateKey, nameOf } from "./key_dialogs.js";
import { FindField, useFind } from "./find.js";
import { More } from "./more.js";
import { PageHead } from "./page_head.js";
import { Records } from "./records.js";

const isOver = (key) => key.expires_at !== null && Date.parse(key.expires_at) <= Date.now();

function Expiry({ item }) {
  if (item.expires_at === null) return html`<span class="small muted">never</span>`;
  if (isOver(item)) return html`<${Badge} kind="muted">expired<//>`;
  return html`<${RelativeTime} at=${item.expires_at} />`;
}

const COLUMNS = [
  {
    label: "Key",
    cell: (item) => html`<span class="record-name" dir="auto">${item.name || "Without a name"}</span> ${item.admin && html`<${Badge} kind="accent">admin<//>`}
      <div class="small muted"><code>${item.prefix}…</code></div>`,
  },
  { label: "User", cell: (item) => html`<span dir="auto">${item.user_id}</span>` },
  { label: "Created", cell: (item) => html`<${RelativeTime} at=${item.created_at} />` },
  { label: "Expires", cell: (item) => html`<${Expiry} item=${item} />` },
];

export default function KeysView() {
  const [open, setOpen] = useState(null);
  const [wanted, setWanted] = useState("");
  const pages = usePages("/keys", useFind(wanted));
  const close = () => setOpen(null);
  const actions = {
    label: "Actions",
    isHidden: true,
    cell: (item) => html`<div class="row-actions">
      <${Button} size="small" aria-label=${`New secret for ${nameOf(item)}`} onClick=${() => setOpen({ what: "rotate", item })}>New secret…<//>
      <${Button} size="small" kind="danger-quiet" aria-label=${`Delete ${nameOf(item)}`} onClick=${() => setOpen({ what: "delete", item })}>Delete…<//>
    </div>`,
  };
  return html`<div class="page">
    <${PageHead} title="Keys" text="An API key stands for its user. Give each person and each program a key of their own.">
      <${Button} onClick=${() => setOpen({ what: "tokens" })}>End tokens…<//>
      <${Button} kind="primary" onClick=${() => setOpen({ what: "create" })}>New key<//>
    <//>
    ${pages.problem && html`<${Notice} problem=${pages.problem} action=${{ label: "Try again", onClick: pages.reload }} />`}
    ${(wanted || pages.more || pages.items.length > 5) && html`<${FindField} label="Find a key by its user, name or beginning" value=${wanted} onInput=${setWanted} pages=${pages} />`}
    ${pages.items.length > 0 && html`<${Records} caption="API keys" columns=${[...COLUMNS, actions]} rows=${pages.items} keyOf=${(item) => item.id} />`}
    ${!wanted && pages.items.length === 0 && !pages.loading && !pages.problem && html`<${Empty} title="No keys yet" text="Make one for each person and program." />`}
    <${More} pages=${pages} />
    ${open?.what === "create" && html`<${CreateKey} onClose=${close} onChanged=${pages.reload} />`}
    ${open?.what === "rotate" && html`<${RotateKey} item=${open.item} onClose=${close} />`}
    ${open?.what === "delete" && html`<${DeleteKey} item=${open.item} onClose=${close} onChanged=${pages.reload} />`}
    ${open?.what === "tokens" && html`<${EndTokens} onClose=${close} />`}
  </div>`;
}
