// Erasing a user: what follows, the user's id typed by hand, then the job until its receipt.

import { html, useEffect, useState } from "../../vendor/preact.js";
import { api } from "../api.js";
import { href } from "../router.js";
import { Button } from "../ui/button.js";
import { Dialog } from "../ui/dialog.js";
import { Notice, Spinner } from "../ui/states.js";
import { counted } from "../usage/numbers.js";
import { TextField } from "./form.js";

// The job waits for runs of the user that are executed now, which may take minutes.
const LOOK_AGAIN_MS = 1500;

const WHAT_GOES = [
  "their keys, tokens, roles, files and model calls, and so their part of the usage",
  "their agents and chats that have no other owner",
  "what they wrote in the chats of others: there it reads [erased], and summaries and generated titles are made anew",
];

/** `onErased` is called when the job has ended well. */
export function EraseUser({ userId, onClose, onErased }) {
  const [typed, setTyped] = useState("");
  const [job, setJob] = useState(null);
  const [problem, setProblem] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const isOver = job !== null && (job.status === "completed" || job.status === "failed");

  useEffect(() => {
    if (job === null || isOver) return undefined;
    let isGone = false;
    const timer = setInterval(async () => {
      try {
        const found = await api.get(`/jobs/${job.id}`);
        if (isGone) return;
        setProblem(null);
        setJob(found);
        if (found.status === "completed") onErased();
      } catch (failure) {
        if (!isGone) setProblem(failure);
      }
    }, LOOK_AGAIN_MS);
    return () => {
      isGone = true;
      clearInterval(timer);
    };
  }, [job?.id, isOver]);

  const submit = async (event) => {
    event.preventDefault();
    if (typed !== userId) return;
    setBusy(true);
    setProblem(null);
    try {
      setJob(await api.delete(`/users/${encodeURIComponent(userId)}`));
    } catch (failure) {
      setProblem(failure);
    }
    setBusy(false);
  };

  return html`<${Dialog} title=${html`Erase <span dir="auto">${userId}</span>`} onClose=${onClose}>
    ${job === null
      ? html`<form class="stack" onSubmit=${submit}>
          <p>This cannot be undone. What goes:</p>
          <ul class="plain-list">${WHAT_GOES.map((text) => html`<li key=${text}>${text}</li>`)}</ul>
          <p>What agents answered in the chats of others stays. Backups and exports are not changed. The audit log keeps what happened, without the name.</p>
          <${TextField} label=${`Type “${userId}” to confirm`} value=${typed} onInput=${setTyped} autoComplete="off" spellCheck=${false} autofocus=${true} />
          ${problem && html`<${Notice} problem=${problem} />`}
          <div class="row row-end"><${Button} onClick=${onClose}>Cancel<//>
            <${Button} type="submit" kind="danger" busy=${isBusy} disabled=${typed !== userId}>Erase for ever<//></div>
        </form>`
      : html`<${Progress} job=${job} problem=${problem} onClose=${onClose} />`}
  <//>`;
}

function Progress({ job, problem, onClose }) {
  return html`<div class="erasure" aria-live="polite">
    ${job.status === "completed" && html`<p>The user is erased. This is the receipt:</p><${Receipt} removed=${job.result?.removed ?? {}} />`}
    ${job.status === "failed" && html`<p>The erasure did not end. ${job.error}</p><p class="small muted">It can be started again <a href=${href("/admin/jobs", { job: job.id })}>in Jobs</a>; what is gone stays gone.</p>`}
    ${(job.status === "queued" || job.status === "running") && html`<${Spinner} label="Erasing" />
      <p>${job.error ?? "This waits for runs of the user that are executed now."} You may close this: the job goes on, and its receipt stands <a href=${href("/admin/jobs", { job: job.id })}>in Jobs</a>.</p>`}
    ${problem && html`<${Notice} problem=${problem} />`}
    <div class="row row-end"><${Button} onClick=${onClose}>Close<//></div>
  </div>`;
}

/** What an erasure removed, by kind. */
export function Receipt({ removed }) {
  const entries = Object.entries(removed).filter(([, count]) => count > 0);
  if (entries.length === 0) return html`<p>There was nothing to remove.</p>`;
  return html`<ul class="plain-list">${entries.map(([name, count]) => html`<li key=${name}>${ofKind(count, name.replaceAll("_", " "))}</li>`)}</ul>`;
}

const ofKind = (count, kind) => counted(count, kind.replace(/ies$/, "y").replace(/s$/, ""), kind);
