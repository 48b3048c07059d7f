// `/admin/jobs`: the work in the background: what waits, what failed and why, what was done.

import { html } from "../../vendor/preact.js";
import { api } from "../api.js";
import { href, navigate } from "../router.js";
import { Button } from "../ui/button.js";
import { useLoad, usePages } from "../ui/loading.js";
import { Badge, Empty, Notice, Spinner } from "../ui/states.js";
import { RelativeTime } from "../ui/time.js";
import { toast } from "../ui/toast.js";
import { formatDuration } from "../usage/numbers.js";
import { Receipt } from "./erase_user.js";
import { KINDS } from "./job_data.js";
import { More } from "./more.js";
import { PageHead } from "./page_head.js";
import { usePoll } from "./poll.js";
import { Records } from "./records.js";
import { useRequest } from "./request.js";
import { Segments } from "./segments.js";
import { Values } from "./values.js";

const STATUSES = [
  { value: "failed", label: "Failed" },
  { value: "running", label: "Running" },
  { value: "queued", label: "Queued" },
  { value: "completed", label: "Done" },
  { value: "", label: "All" },
];
// Each look of an admin is in the audit log, so a list in which nothing happens is left alone for longer.
const MOVING_MS = 5_000;
const STILL_MS = 60_000;

const TONES = { failed: "danger", running: "accent", queued: "warning", completed: "" };
const EMPTY = {
  failed: "No job has failed.",
  running: "No job is running.",
  queued: "No job is waiting.",
  completed: "No job has been done yet.",
  "": "There are no jobs yet.",
};

export default function JobsView({ query }) {
  return query.job ? html`<${OneJob} id=${query.job} />` : html`<${JobList} query=${query} />`;
}

/** One job by its id, looked at again until it is over. */
function OneJob({ id }) {
  const { data, problem, loading, reload } = useLoad(() => api.get(`/jobs/${encodeURIComponent(id)}`), [id]);
  const isOpen = data?.status === "queued" || data?.status === "running";
  usePoll(() => isOpen && reload(), MOVING_MS);
  return html`<div class="page">
    <${PageHead} title="Job" text=${id}><${Button} href=${href("/admin/jobs")}>All jobs<//><//>
    ${problem && html`<${Notice} problem=${problem} action=${{ label: "Try again", onClick: reload }} />`}
    ${!data && loading && html`<${Spinner} />`}
    ${data && html`<${Records} caption="Job" columns=${columns(reload)} rows=${[data]} keyOf=${(job) => job.id} details=${detailsOf} />`}
  </div>`;
}

function JobList({ query }) {
  const status = STATUSES.some(({ value }) => value === query.status) ? query.status : "";
  const pages = usePages("/jobs", { status });
  // A list that has been read further stays as it is: it would jump back to its beginning.
  const isMoving = pages.items.some((job) => job.status === "queued" || job.status === "running");
  usePoll(() => pages.items.length <= 20 && pages.reload(), isMoving ? MOVING_MS : STILL_MS);
  return html`<div class="page">
    <${PageHead} title="Jobs" text="Work in the background: titles, summaries, webhooks, erasing users. A job is tried five times before it has failed.">
      <${Button} icon="refresh-cw" busy=${pages.loading} onClick=${pages.reload}>Refresh<//>
    <//>
    <${Segments} label="Which jobs" options=${STATUSES} value=${status} onChange=${(value) => navigate(href("/admin/jobs", { status: value }))} />
    ${pages.problem && html`<${Notice} problem=${pages.problem} action=${{ label: "Try again", onClick: pages.reload }} />`}
    ${pages.items.length > 0 && html`<${Records} caption="Jobs" columns=${columns(pages.reload)} rows=${pages.items} keyOf=${(job) => job.id} details=${detailsOf} />`}
    ${pages.items.length === 0 && !pages.loading && !pages.problem && html`<${Empty} title=${EMPTY[status]} />`}
    <${More} pages=${pages} />
  </div>`;
}

const columns = (reload) => [
  { label: "Job", cell: (job) => html`<span class="record-name">${KINDS[job.kind] ?? job.kind}</span>
    ${job.thread_id && html`<div class="small"><a href=${href(`/threads/${job.thread_id}`)}>Open the chat</a></div>`}` },
  { label: "Status", cell: (job) => html`<${Badge} kind=${TONES[job.status]}>${job.status === "completed" ? "done" : job.status}<//>` },
  { label: "Attempts", isNumber: true, cell: (job) => job.attempts },
  { label: "Created", cell: (job) => html`<${RelativeTime} at=${job.created_at} />` },
  { label: "Took", isNumber: true, cell: (job) => (job.finished_at ? formatDuration((Date.parse(job.finished_at) - Date.parse(job.created_at)) / 1000) : "–") },
  { label: "Actions", isHidden: true, cell: (job) => job.status === "failed" && html`<${Retry} job=${job} onDone=${reload} />` },
];

/** Why it failed, or what it led to. */
function detailsOf(job) {
  if (job.error && job.status === "failed") return html`<p class="record-reason" dir="auto">${job.error}</p>`;
  if (job.error && job.status !== "completed") return html`<p class="small muted">The last attempt: <span dir="auto">${job.error}</span></p>`;
  if (job.kind === "erase_user" && job.result) return html`<details class="fold"><summary>Receipt</summary><${Receipt} removed=${job.result.removed ?? {}} /></details>`;
  if (job.result && Object.keys(job.result).length > 0) return html`<details class="fold"><summary>Result</summary><${Values} values=${job.result} /></details>`;
  return null;
}

function Retry({ job, onDone }) {
  const request = useRequest();
  const retry = () =>
    request.run(async () => {
      await api.post(`/jobs/${job.id}/retry`);
      toast(`${KINDS[job.kind] ?? job.kind}: queued again.`);
      onDone();
    });
  return html`<${Button} size="small" busy=${request.busy} aria-label=${`Try again: ${KINDS[job.kind] ?? job.kind}`} onClick=${retry}>Try again<//>
    ${request.problem && html`<p class="field-error" role="alert">${request.problem.detail || request.problem.title}</p>`}`;
}
