// One entry of a conversation as it is read: what a person said, or an answer.

import { Component, html, useState } from "../../vendor/preact.js";
import { toProblem } from "../api.js";
import { href, navigate } from "../router.js";
import { Button, IconButton } from "../ui/button.js";
import { CopyButton } from "../ui/copy_button.js";
import { withSheet } from "../styles.js";
import { Icon } from "../ui/icon.js";
import { toast } from "../ui/toast.js";
import { RelativeTime } from "../ui/time.js";
import { Feedback } from "./feedback.js";
import { MarkdownText } from "./markdown_text.js";
import { Lazy } from "../ui/lazy.js";
import { ToolCall } from "./tool_call.js";
import { isOver } from "./turns.js";

const loadFile = withSheet("details", () => import("./files.js"));
const loadEdit = withSheet("details", () => import("./edit_message.js"));
const loadDetails = withSheet("details", () => import("./run_details.js"));
const loadNotices = () => import("./turn_notices.js");

/** Does what fails with a sentence in the corner. */
async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    toast(toProblem(error).message, { kind: "danger" });
    return null;
  }
}

async function fork(thread, messageId) {
  const id = await attempt(() => thread.fork(messageId));
  if (!id) return;
  navigate(href(`/threads/${id}`));
  toast("This is a new chat with what was said up to there.");
}

const filesOf = (message) => message.parts.filter((part) => part.type === "file");
// A message with files has their names in its content; people see them below it.
const textOf = (message) => message.parts.filter((part) => part.type === "text").map((part) => part.text).join("\n\n");

export class UserTurn extends Component {
  constructor() {
    super();
    this.state = { editing: false };
  }

  shouldComponentUpdate(next, state) {
    const { message, named, marked, rights } = this.props;
    return next.message !== message || next.named !== named || next.marked !== marked || next.rights.write !== rights.write || state !== this.state;
  }

  render({ message, named, marked, rights, thread }, { editing }) {
    const files = filesOf(message);
    const text = textOf(message);
    const close = () => this.setState({ editing: false });
    return html`<article class=${`turn turn-user ${marked ? "turn-marked" : ""}`} data-message=${message.id} aria-label=${named ? `Message of ${message.user_id}` : "Your message"}>
      ${named && html`<p class="turn-name" dir="auto">${message.user_id ?? "unknown user"}</p>`}
      ${files.length > 0 && html`<div class="files">${files.map((file) => html`<${Lazy} key=${file.file_id} load=${loadFile} file=${file} />`)}</div>`}
      ${editing
        ? html`<${Lazy} load=${loadEdit} text=${text} onClose=${close} onSend=${(said) => attempt(() => thread.edit(message, said)).then((id) => id && navigate(href(`/threads/${id}`)))} />`
        : text && html`<div class="bubble" dir="auto">${text}</div>`}
      ${message.refused && html`<p class="turn-note">The provider refused this message, so the model no longer gets it.</p>`}
      ${!editing && html`<div class="actions">
        <${CopyButton} text=${text} label="Copy the message" />
        ${rights.write && html`<${IconButton} size="small" icon="pencil" label="Edit in a new chat" onClick=${() => this.setState({ editing: true })} />
        <${IconButton} size="small" icon="git-fork" label="Fork from here" onClick=${() => fork(thread, message.id)} />`}
        <${RelativeTime} at=${message.created_at} class="turn-time" />
      </div>`}
    </article>`;
  }
}

function Reasoning({ text, growing }) {
  const [open, setOpen] = useState(false);
  return html`<details class="reasoning" open=${open} onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary><${Icon} name="brain" size="small" /><span class=${growing ? "thinking" : ""}>${growing ? "Thinking" : "Reasoning"}</span><${Icon} name="chevron-down" size="small" /></summary>
    ${open && html`<div class="reasoning-text" dir="auto">${text}</div>`}
  </details>`;
}

const reasoningOf = (message) => message.parts.filter((part) => part.type === "reasoning").map((part) => part.text).join("\n\n");

function Said({ message, calls, rights, thread }) {
  const reasoning = reasoningOf(message);
  return html`<div class="said" data-message=${message.id}>
    ${reasoning && html`<${Reasoning} text=${reasoning} />`}
    ${message.content && html`<${MarkdownText} key="text" text=${message.content} done=${true} />`}
    ${message.parts.filter((part) => part.type === "tool_call").map((part) => html`<${ToolCall} key=${part.tool_call_id} part=${part} call=${calls[part.tool_call_id]} mayDecide=${rights.change} thread=${thread} />`)}
  </div>`;
}

function Drafting({ draft }) {
  return html`<div class="said" data-message=${draft.id}>
    ${draft.reasoning && html`<${Reasoning} text=${draft.reasoning} growing=${!draft.text} />`}
    ${draft.text && html`<${MarkdownText} key="text" text=${draft.text} done=${false} />`}
  </div>`;
}

/** How the run stands, where that is not plain from what it says. */
function Standing({ entry, isLast, rights, thread }) {
  const { run, messages, drafts } = entry;
  if (!run || entry.superseded) return null;
  const working = Object.values(entry.calls).some((call) => call?.runId === run.id && call.state === "running");
  if (run.status === "running") {
    if (run.retrying) return html`<p class="turn-note" role="status"><span class="spinner spinner-small" aria-hidden="true"></span>The answer broke off and begins again (attempt ${run.retrying.attempt}).</p>`;
    const silent = !working && drafts.every((draft) => !draft.text && !draft.reasoning) && (!messages.length || entry.drafts.length || Object.keys(entry.calls).length);
    return silent && isLast ? html`<p class="turn-wait"><span class="thinking">Working</span></p>` : null;
  }
  if (run.status === "failed") {
    return html`<div class="failure" role="alert"><${Icon} name="circle-alert" />
      <p class="grow" dir="auto">${run.error?.detail ?? "The answer failed."} ${run.error?.code && html`<code>${run.error.code}</code>`}</p>
      ${isLast && rights.write && html`<${Button} size="small" icon="rotate-ccw" onClick=${() => attempt(() => thread.retry(run.id))}>Try again<//>`}
    </div>`;
  }
  const stopped = run.status === "cancelled" || messages.at(-1)?.status === "incomplete";
  return stopped ? html`<p class="turn-note">Stopped${messages.length ? "" : " before the first word"}.</p>` : null;
}

/** Whether there may be something to say of how the run went. */
const hasNotices = (run) => run.guardrails?.length > 0 || run.notices?.length > 0 || (run.stop_reason ?? "end") !== "end";

function Details({ runId, thread }) {
  const [open, setOpen] = useState(false);
  return html`<${IconButton} size="small" icon="info" label="Details of the answer" onClick=${() => setOpen(true)} />
    ${open && html`<${Lazy} load=${loadDetails} runId=${runId} thread=${thread} onClose=${() => setOpen(false)} />`}`;
}

/** An answer: all that one run said in one place, with its tools. */
export class AnswerTurn extends Component {
  shouldComponentUpdate(next) {
    const { entry, isLast, marked, rights } = this.props;
    const changed = next.rights.write !== rights.write || next.rights.change !== rights.change;
    return changed || next.entry !== entry || next.isLast !== isLast || next.marked !== marked;
  }

  render({ entry, isLast, marked, rights, thread }) {
    const { messages, drafts, run, superseded } = entry;
    const said = html`
      ${messages.map((message) => html`<${Said} key=${message.id} message=${message} calls=${entry.calls} rights=${rights} thread=${thread} />`)}
      ${drafts.map((draft) => html`<${Drafting} key=${draft.id} draft=${draft} />`)}`;
    if (superseded) {
      return html`<article class="turn turn-superseded" aria-label="An earlier answer"><details>
        <summary><${Icon} name="rotate-ccw" size="small" />An earlier answer, which was retried<${Icon} name="chevron-down" size="small" /></summary>${said}</details></article>`;
    }
    const text = messages.map((message) => message.content).filter(Boolean).join("\n\n");
    const last = messages.at(-1);
    return html`<article class=${`turn turn-answer ${marked ? "turn-marked" : ""} ${isLast ? "turn-last" : ""}`} aria-label="Answer" aria-busy=${String(Boolean(run && !isOver(run)))}>
      ${said}
      <${Standing} entry=${entry} isLast=${isLast} rights=${rights} thread=${thread} />
      ${isOver(run) && hasNotices(run) && html`<${Lazy} load=${loadNotices} run=${run} />`}
      ${(isOver(run) || (!run && last)) && html`<div class="actions">
        ${text && html`<${CopyButton} text=${text} label="Copy the answer" />`}
        ${isLast && rights.write && run && run.status !== "failed" && html`<${IconButton} size="small" icon="rotate-ccw" label="Answer again" onClick=${() => attempt(() => thread.retry(run.id))} />`}
        ${last && html`<${Feedback} message=${last} thread=${thread} />`}
        ${last && rights.write && html`<${IconButton} size="small" icon="git-fork" label="Fork from here" onClick=${() => fork(thread, last.id)} />`}
        ${entry.runId && html`<${Details} runId=${entry.runId} thread=${thread} />`}
      </div>`}
    </article>`;
  }
}
