// A call of a tool: folded to one line; opened, what it was asked and what it answered. A call that waits for a person is
// shown with its arguments, to be decided.

import { html, useState } from "../../vendor/preact.js";
import { withSheet } from "../styles.js";
import { Icon } from "../ui/icon.js";
import { Lazy } from "../ui/lazy.js";
import { duration } from "./words.js";

const loadBody = withSheet("details", () => import("./tool_body.js"));
const loadApproval = withSheet("details", () => import("./tool_approval.js"));

const STATES = {
  running: { text: "running", icon: null },
  done: { text: "", icon: "check" },
  error: { text: "failed", icon: "circle-alert" },
  approval: { text: "waits for your approval", icon: "clock" },
  client: { text: "waits for another program", icon: "clock" },
  unanswered: { text: "not answered", icon: "circle-alert" },
};

/** `part` is the message's; `call` what has become of it (may be missing). */
export function ToolCall({ part, call, mayDecide, thread }) {
  const [open, setOpen] = useState(false);
  const at = call ?? { id: part.tool_call_id, state: "unanswered" };
  const name = at.state === "done" && at.isError ? "error" : at.state;
  const { text, icon } = STATES[name] ?? STATES.unanswered;
  if (at.state === "approval") return html`<${Lazy} load=${loadApproval} call=${{ ...at, name: part.name, arguments: part.arguments }} mayDecide=${mayDecide} thread=${thread} />`;
  const time = at.startedAt && at.finishedAt ? duration(at.startedAt, at.finishedAt) : "";
  return html`<details class=${`tool tool-${name}`} open=${open} onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary>
      <${Icon} name="wrench" size="small" />
      <span class="tool-name truncate" dir="auto">${part.name}</span>
      <span class="tool-state">${text || time}${text && time ? `, ${time}` : ""}</span>
      ${icon ? html`<${Icon} name=${icon} size="small" />` : html`<span class="spinner spinner-small" aria-hidden="true"></span>`}
      <${Icon} name="chevron-down" size="small" />
    </summary>
    ${open && html`<${Lazy} load=${loadBody} part=${part} call=${at} />`}
    ${at.state === "client" && html`<p class="tool-hint">The program that sent this call is not this page. Write a message to go on without its answer.</p>`}
  </details>`;
}
