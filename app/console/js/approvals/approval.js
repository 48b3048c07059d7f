// One call that waits: which agent wants to do what, in which thread, since when, until when; and the decision.

import { html, useEffect, useRef, useState } from "../../vendor/preact.js";
import { AreaField } from "../admin/form.js";
import { Values } from "../admin/values.js";
import { api } from "../api.js";
import { Button } from "../ui/button.js";
import { Notice } from "../ui/states.js";
import { RelativeTime } from "../ui/time.js";
import { Deadline } from "./deadline.js";

// Other people, and the deadline, decide on the same calls.
const DECIDED = ["conflict", "not_found"];

/** `onDecided(approval, words)` is called when the call waits no longer, with what to tell. */
export function Approval({ approval, onDecided, onPassed }) {
  const [isRefusing, setRefusing] = useState(false);
  const [reason, setReason] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const card = useRef(null);
  const heading = `approval-${approval.run_id}-${approval.tool_call_id}`;
  const agent = approval.agent.name ?? "An agent";

  useEffect(() => {
    if (isRefusing) card.current.querySelector("textarea").focus();
  }, [isRefusing]);

  const decide = async (approved) => {
    setBusy(true);
    setProblem(null);
    try {
      await api.post(`/threads/${approval.thread.id}/runs/${approval.run_id}/approvals`, {
        tool_call_id: approval.tool_call_id,
        approved,
        reason: approved || reason.trim() === "" ? null : reason.trim(),
      });
      onDecided(approval, `${approved ? "Approved" : "Refused"}: ${approval.name}`);
    } catch (failure) {
      setBusy(false);
      if (DECIDED.includes(failure.code)) onDecided(approval, `${approval.name} was decided already`);
      else setProblem(failure);
    }
  };

  return html`<article class="approval-card" ref=${card} aria-labelledby=${heading}>
    <header class="approval-head">
      <h2 id=${heading} class="approval-card-title" tabindex="-1"><span dir="auto">${agent}</span> asks to call <code>${approval.name}</code></h2>
      <p class="small muted">
        In <a href=${`#/threads/${approval.thread.id}`} dir="auto">${approval.thread.title ?? "a chat without a title"}</a>,
        asked <${RelativeTime} at=${approval.requested_at} />
      </p>
    </header>
    <${Values} values=${approval.arguments} empty="Without arguments." />
    ${isRefusing && html`<${AreaField} label="Reason" help="The agent gets it, and goes on with it. It may be empty." value=${reason} maxLength=${2000}
      rows=${2} onInput=${setReason} />`}
    ${problem && html`<${Notice} problem=${problem} />`}
    <footer class="approval-foot">
      <p class="approval-deadline"><${Deadline} expiresAt=${approval.expires_at} onPassed=${onPassed} /></p>
      <div class="approval-actions">
        ${isRefusing
          ? html`<${Button} kind="quiet" disabled=${isBusy} onClick=${() => setRefusing(false)}>Back<//>
              <${Button} kind="danger" busy=${isBusy} onClick=${() => decide(false)}>Refuse<//>`
          : html`<${Button} disabled=${isBusy} onClick=${() => setRefusing(true)}>Refuse…<//>
              <${Button} kind="primary" busy=${isBusy} onClick=${() => decide(true)}>Approve<//>`}
      </div>
    </footer>
  </article>`;
}
