// What was sent and is not in the history yet.

import { html } from "../../vendor/preact.js";
import { toProblem } from "../api.js";
import { Button } from "../ui/button.js";
import { Icon } from "../ui/icon.js";
import { toast } from "../ui/toast.js";

function stateOf(entry, runs) {
  if (entry.state === "failed") return null;
  const run = runs[entry.runId];
  if (entry.state === "sending") return "Sending";
  if (run?.status === "queued") return run.position > 1 ? `Waits for its turn (${run.position})` : "Waits for its turn";
  return entry.mode === "steer" ? "Joins the answer at its next step" : "Sent";
}

function Waiting({ entry, runs, thread }) {
  const { problem } = entry;
  const failed = entry.state === "failed";
  const queued = runs[entry.runId]?.status === "queued";
  const remove = async () => {
    try {
      if (queued) await thread.stop(entry.runId);
      thread.takeBack(entry.key);
    } catch (error) {
      toast(toProblem(error).message, { kind: "danger" });
    }
  };
  return html`<article class=${`turn turn-user turn-pending ${failed ? "turn-failed" : ""}`} aria-label=${failed ? "Message that was not sent" : "Message on its way"}>
    ${entry.files.length > 0 && html`<div class="files">${entry.files.map((file) => html`<span class="file" key=${file.id}><${Icon} name="file-text" /><span class="file-name truncate" dir="auto">${file.filename}</span></span>`)}</div>`}
    ${entry.text && html`<div class="bubble" dir="auto">${entry.text}</div>`}
    ${failed
      ? html`<div class="failure" role="alert"><${Icon} name="circle-alert" /><p class="grow" dir="auto">Not sent. ${problem?.detail || problem?.title} ${problem?.code && html`<code>${problem.code}</code>`}</p>
          <${Button} size="small" icon="rotate-ccw" onClick=${() => thread.sayAgain(entry.key)}>Try again<//>
          <${Button} size="small" kind="quiet" onClick=${remove}>Discard<//></div>`
      : html`<p class="turn-state">${stateOf(entry, runs)}${queued && html`<${Button} size="small" kind="quiet" onClick=${remove}>Remove<//>`}</p>`}
  </article>`;
}

export function OutboxList({ conversation, thread }) {
  const { outbox, runs } = conversation;
  const mine = new Set(outbox.map((entry) => entry.runId));
  // Others' messages that wait are not readable before their turn.
  const others = Object.values(runs).filter((run) => run.status === "queued" && !mine.has(run.id)).length;
  return html`${outbox.map((entry) => html`<${Waiting} key=${entry.key} entry=${entry} runs=${runs} thread=${thread} />`)}
    ${others > 0 && outbox.every((entry) => entry.state !== "sending") && html`<p class="turn-note">${others === 1 ? "One more message waits for its turn." : `${others} more messages wait for their turn.`}</p>`}`;
}
