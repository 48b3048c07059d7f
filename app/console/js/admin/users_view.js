// `/admin/users`: who has something here, and how much; their limits; erasing one of them.

import { html, useState } from "../../vendor/preact.js";
import { Button } from "../ui/button.js";
import { Dialog } from "../ui/dialog.js";
import { usePages } from "../ui/loading.js";
import { Empty, Notice } from "../ui/states.js";
import { formatBytes, formatCount } from "../usage/numbers.js";
import { EraseUser } from "./erase_user.js";
import { TextField } from "./form.js";
import { FindField, useFind } from "./find.js";
import { More } from "./more.js";
import { PageHead } from "./page_head.js";
import { Records } from "./records.js";
import { UserLimits } from "./user_limits.js";

const COLUMNS = [
  { label: "User", cell: (user) => html`<span class="record-name" dir="auto">${user.id}</span>` },
  { label: "Chats", isNumber: true, cell: (user) => formatCount(user.threads) },
  { label: "Agents", isNumber: true, cell: (user) => formatCount(user.agents) },
  { label: "Files", isNumber: true, cell: (user) => (user.files === 0 ? "0" : `${formatCount(user.files)} (${formatBytes(user.files_bytes)})`) },
  { label: "Keys", isNumber: true, cell: (user) => formatCount(user.keys) },
  { label: "Runs now", isNumber: true, cell: (user) => formatCount(user.runs) },
];

export default function UsersView() {
  const [open, setOpen] = useState(null);
  const [isAsking, setAsking] = useState(false);
  const [wanted, setWanted] = useState("");
  const pages = usePages("/users", useFind(wanted));
  const close = () => setOpen(null);
  const actions = {
    label: "Actions",
    isHidden: true,
    cell: (user) => html`<div class="row-actions">
      <${Button} size="small" aria-label=${`Limits of ${user.id}`} onClick=${() => setOpen({ what: "limits", userId: user.id })}>Limits<//>
      <${Button} size="small" kind="danger-quiet" aria-label=${`Erase ${user.id}`} onClick=${() => setOpen({ what: "erase", userId: user.id })}>Erase…<//>
    </div>`,
  };
  return html`<div class="page">
    <${PageHead} title="Users" text="Everyone who has something here. A user is a name that a key or a sign-in carries.">
      <${Button} onClick=${() => setAsking(true)}>Another user…<//>
    <//>
    ${pages.problem && html`<${Notice} problem=${pages.problem} action=${{ label: "Try again", onClick: pages.reload }} />`}
    ${(wanted || pages.more || pages.items.length > 5) && html`<${FindField} label="Find a user" value=${wanted} onInput=${setWanted} pages=${pages} />`}
    ${pages.items.length > 0 && html`<${Records} caption="Users" columns=${[...COLUMNS, actions]} rows=${pages.items} keyOf=${(user) => user.id} />`}
    <${More} pages=${pages} />
    ${!wanted && pages.items.length === 0 && !pages.loading && !pages.problem && html`<${Empty} title="No users yet" text="A user is there once they have a key." />`}
    ${isAsking && html`<${AskForUser} onClose=${() => setAsking(false)} onChosen=${(userId) => { setAsking(false); setOpen({ what: "limits", userId }); }} />`}
    ${open?.what === "limits" && html`<${UserLimits} userId=${open.userId} onClose=${close} />`}
    ${open?.what === "erase" && html`<${EraseUser} userId=${open.userId} onClose=${close} onErased=${pages.reload} />`}
  </div>`;
}

/** For a user who has nothing yet, or stands far down in the list. */
function AskForUser({ onClose, onChosen }) {
  const [userId, setUserId] = useState("");
  const submit = (event) => {
    event.preventDefault();
    if (userId !== "") onChosen(userId);
  };
  return html`<${Dialog} title="Limits of another user" onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <${TextField} label="User" help="The user's id, as their key or sign-in has it. They need not have anything yet." value=${userId} maxLength=${255}
        required=${true} autofocus=${true} onInput=${setUserId} />
      <div class="row row-end"><${Button} type="submit" kind="primary" disabled=${userId === ""}>Show the limits<//></div>
    </form>
  <//>`;
}
