// A call of a tool: folded to one line; opened, what it was asked and what it answered. Calls that wait for a person are
// decided here.

import { html, useState } from "../../vendor/preact.js";
import { toProblem } from "../api.js";
import { Button } from "../ui/button.js";
import { CopyButton } from "../ui/copy_button.js";
import { Icon } from "../ui/icon.js";
import { Notice } from "../ui/states.js";
import { RelativeTime } from "../ui/time.js";
import { duration } from "./words.js";

const STATES = {
  running: { text: "running", icon: null },
  done: { text: "", icon: "check" },
  error: { text: "failed", icon: "circle-alert" },
  approval: { text: "waits for your approval", icon: "clock" },
  client: { text: "waits for another program", icon: "clock" },
  unanswered: { text: "not answered", icon: "circle-alert" },
};

/** A value as text for people: JSON indented, texts as they are, texts that are JSON too. */
export function pretty(value) {
  if (typeof value !== "string") return JSON.stringify(value, null, 2);
  const text = value.trim();
  if (!/^[[{]/.test(text)) return value;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return value;
  }
}

const isEmpty = (value) => value && typeof value === "object" && Object.keys(value).length === 0;

function Value({ title, value }) {
  const text = pretty(value) ?? "";
  return html`<div class="tool-value">
    <div class="tool-value-head"><span>${title}</span><${CopyButton} text=${text} label=${`Copy the ${title.toLowerCase()}`} /></div>
    <pre dir="ltr" tabindex="0" aria-label=${title}>${text || "(nothing)"}</pre>
  </div>`;
}

function Approval({ call, thread }) {
  const [reason, setReason] = useState("");
  const [refusing, setRefusing] = useState(false);
  const [busy, setBusy] = useState("");
  const [problem, setProblem] = useState(null);
  const decide = async (approved) => {
    setBusy(approved ? "yes" : "no");
    setProblem(null);
    try {
      await thread.decide(call.runId, call.id, approved, approved ? "" : reason.trim());
    } catch (error) {
      setProblem(toProblem(error));
      setBusy("");
    }
  };
  return html`<div class="approval" role="group" aria-label=${`Approval of ${call.name}`}>
    <p class="approval-title"><${Icon} name="shield" /><span>The agent wants to use <strong dir="auto">${call.name}</strong></span></p>
    ${!isEmpty(call.arguments) && html`<pre dir="ltr" tabindex="0" aria-label="Arguments">${pretty(call.arguments)}</pre>`}
    ${call.expiresAt && html`<p class="muted small">Without a decision it is refused <${RelativeTime} at=${call.expiresAt} />.</p>`}
    ${refusing && html`<input class="input" dir="auto" aria-label="Why it is refused" placeholder="Why? The agent is told (optional)" autofocus
      value=${reason} onInput=${(event) => setReason(event.currentTarget.value)}
      onKeyDown=${(event) => event.key === "Enter" && !event.isComposing && decide(false)} />`}
    <div class="row">
      ${refusing
        ? html`<${Button} kind="danger" size="small" busy=${busy === "no"} onClick=${() => decide(false)}>Refuse<//>
            <${Button} kind="quiet" size="small" onClick=${() => setRefusing(false)}>Back<//>`
        : html`<${Button} kind="primary" size="small" icon="check" busy=${busy === "yes"} onClick=${() => decide(true)}>Approve<//>
            <${Button} size="small" onClick=${() => setRefusing(true)}>Refuse…<//>`}
    </div>
    ${problem && html`<${Notice} problem=${problem} />`}
  </div>`;
}

/** `part` is the message's; `call` what has become of it (may be missing). */
export function ToolCall({ part, call, thread }) {
  const [open, setOpen] = useState(false);
  const at = call ?? { id: part.tool_call_id, state: "unanswered" };
  const name = at.state === "done" && at.isError ? "error" : at.state;
  const { text, icon } = STATES[name] ?? STATES.unanswered;
  if (at.state === "approval") return html`<${Approval} call=${{ ...at, name: part.name, arguments: part.arguments }} thread=${thread} />`;
  const time = at.startedAt && at.finishedAt ? duration(at.startedAt, at.finishedAt) : "";
  return html`<details class=${`tool tool-${name}`} open=${open} onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary>
      <${Icon} name="wrench" size="small" />
      <span class="tool-name truncate" dir="auto">${part.name}</span>
      <span class="tool-state">${text || time}${text && time ? `, ${time}` : ""}</span>
      ${icon ? html`<${Icon} name=${icon} size="small" />` : html`<span class="spinner spinner-small" aria-hidden="true"></span>`}
      <${Icon} name="chevron-down" size="small" />
    </summary>
    ${open && html`<div class="tool-body">
      ${isEmpty(part.arguments) ? html`<p class="muted small">Without arguments.</p>` : html`<${Value} title="Arguments" value=${part.arguments} />`}
      ${at.state === "done" && html`<${Value} title=${at.isError ? "Error" : "Result"} value=${at.result} />`}
    </div>`}
    ${at.state === "client" && html`<p class="tool-hint">The program that sent this call is not this page. Write a message to go on without its answer.</p>`}
  </details>`;
}
