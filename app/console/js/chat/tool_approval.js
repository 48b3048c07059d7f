// A call that waits for a person, who decides it. Loaded when there is one.

import { html, useState } from "../../vendor/preact.js";
import { toProblem } from "../api.js";
import { Button } from "../ui/button.js";
import { Icon } from "../ui/icon.js";
import { Notice } from "../ui/states.js";
import { RelativeTime } from "../ui/time.js";
import { isEmpty, pretty } from "./values.js";

export default function Approval({ call, mayDecide, thread }) {
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
    ${mayDecide ? html`<div class="row">
      ${refusing
        ? html`<${Button} kind="danger" size="small" busy=${busy === "no"} onClick=${() => decide(false)}>Refuse<//>
            <${Button} kind="quiet" size="small" onClick=${() => setRefusing(false)}>Back<//>`
        : html`<${Button} kind="primary" size="small" icon="check" busy=${busy === "yes"} onClick=${() => decide(true)}>Approve<//>
            <${Button} size="small" onClick=${() => setRefusing(true)}>Refuse…<//>`}
    </div>` : html`<p class="muted small">An editor of this chat decides.</p>`}
    ${problem && html`<${Notice} problem=${problem} />`}
  </div>`;
}
