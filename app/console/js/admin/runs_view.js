// `/activity`: the runs of all threads that one sees, newest first: what is under way, what failed and why.

import { html } from "../../vendor/preact.js";
import { href, navigate } from "../router.js";
import { Select } from "../ui/fields.js";
import { usePages } from "../ui/loading.js";
import { Badge, Empty, Notice } from "../ui/states.js";
import { RelativeTime } from "../ui/time.js";
import { formatCount, formatDuration, formatMoney } from "../usage/numbers.js";
import { useFresh } from "./fresh.js";
import { agentOptions, useAgentNames } from "./agent_names.js";
import { More } from "./more.js";
import { PageHead } from "./page_head.js";
import { Records } from "./records.js";
import { NOTICES } from "./run_words.js";
import { Segments } from "./segments.js";

const STATUSES = [
  { value: "", label: "All" },
  { value: "running", label: "Running" },
  { value: "waiting", label: "Waiting" },
  { value: "queued", label: "Queued" },
  { value: "failed", label: "Failed" },
  { value: "cancelled", label: "Cancelled" },
  { value: "completed", label: "Completed" },
];
// Each step of each run is a hint.
const SOON_MS = 1000;

const TONES = { failed: "danger", running: "accent", waiting: "warning", queued: "warning" };

export default function RunsView({ query }) {
  const status = STATUSES.some(({ value }) => value === query.status) ? query.status : "";
  const agentId = query.agent_id ?? "";
  const pages = usePages("/runs", { status, agent_id: agentId });
  const names = useAgentNames(pages.items.map((item) => item.agent_id));
  // A list that has been read further stays: it would jump back to its beginning.
  useFresh(() => pages.items.length <= 20 && !document.hidden && pages.reload(), { soonMs: SOON_MS });
  const go = (change) => navigate(href("/activity", { status, agent_id: agentId, ...change }));
  return html`<div class="page">
    <${PageHead} title="Activity" text="Each answer of an agent is a run: these are the runs of all chats that you see." />
    <div class="row row-between">
      <${Segments} label="Which runs" options=${STATUSES} value=${status} onChange=${(value) => go({ status: value })} />
      <${Select} class="filter-select" aria-label="Agent" value=${agentId} options=${agentOptions(names, agentId)} onChange=${(value) => go({ agent_id: value })} />
    </div>
    ${pages.problem && html`<${Notice} problem=${pages.problem} action=${{ label: "Try again", onClick: pages.reload }} />`}
    ${pages.items.length > 0 && html`<${Records} caption="Runs" columns=${columns(names)} rows=${pages.items} keyOf=${(run) => run.id} details=${detailsOf} />`}
    ${pages.items.length === 0 && !pages.loading && !pages.problem && html`<${Empty} icon="activity"
      title=${status || agentId ? "No run is like that" : "No agent has answered yet"} action=${status || agentId ? null : { label: "Start a chat", href: "#/" }} />`}
    <${More} pages=${pages} />
  </div>`;
}

const tookOf = (run) => run.started_at && run.finished_at && (Date.parse(run.finished_at) - Date.parse(run.started_at)) / 1000;

const columns = (names) => [
  { label: "Agent", cell: (run) => html`<a class="record-name" href=${href(`/threads/${run.thread_id}`)} dir="auto">${names.get(run.agent_id) ?? (names.has(run.agent_id) ? "Deleted agent" : "Agent")}</a>
    <div class="small muted" dir="auto">${run.user_id}</div>` },
  { label: "Status", cell: (run) => html`<${Badge} kind=${TONES[run.status]}>${run.status}<//>` },
  { label: "Began", cell: (run) => html`<${RelativeTime} at=${run.started_at ?? run.created_at} />` },
  { label: "Took", isNumber: true, cell: (run) => formatDuration(tookOf(run) || null) },
  { label: "Tokens", isNumber: true, cell: (run) => tokensOf(run) },
  { label: "Cost", isNumber: true, cell: (run) => formatMoney(run.cost?.amount) },
];

function tokensOf({ usage }) {
  if (!usage) return "–";
  return html`<span title=${usage.estimated ? "Estimated" : null}>${formatCount(usage.input_tokens)} in, ${formatCount(usage.output_tokens)} out</span>`;
}

/** Why a run failed, in the provider's own words where one may see them, and what else one should know of it. */
function detailsOf(run) {
  const notices = run.notices ?? [];
  if (!run.error && !run.upstream && notices.length === 0) return null;
  return html`<div class="stack stack-tight">
    ${run.error && html`<p class="record-reason" dir="auto">${run.error.detail || run.error.title}</p>`}
    ${run.upstream && html`<details class="fold"><summary>What the provider said${run.upstream.status ? ` (${run.upstream.status})` : ""}</summary>
      <blockquote class="quote" dir="auto">${run.upstream.message}</blockquote></details>`}
    ${notices.map((notice, index) => html`<p key=${index} class="small muted">${NOTICES[notice.code]?.(notice) ?? notice.code}</p>`)}
  </div>`;
}
