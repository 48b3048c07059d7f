// `/feedback`: what people think of answers.

import { html } from "../../vendor/preact.js";
import { href, navigate } from "../router.js";
import { Select } from "../ui/fields.js";
import { usePages } from "../ui/loading.js";
import { Badge, Empty, Notice } from "../ui/states.js";
import { RelativeTime } from "../ui/time.js";
import { agentOptions, useAgentNames } from "./agent_names.js";
import { More } from "./more.js";
import { PageHead } from "./page_head.js";
import { Segments } from "./segments.js";

const RATINGS = [
  { value: "", label: "All" },
  { value: "-1", label: "Bad" },
  { value: "1", label: "Good" },
];

export default function FeedbackView({ query }) {
  const rating = RATINGS.some(({ value }) => value === query.rating) ? query.rating : "";
  const agentId = query.agent_id ?? "";
  const pages = usePages("/feedback", { rating, agent_id: agentId });
  const names = useAgentNames(pages.items.map((item) => item.agent_id));
  const go = (change) => navigate(href("/feedback", { rating, agent_id: agentId, ...change }));
  return html`<div class="page page-narrow">
    <${PageHead} title="Feedback" text="What people think of the answers of your agents." />
    <div class="row row-between">
      <${Segments} label="Which feedback" options=${RATINGS} value=${rating} onChange=${(value) => go({ rating: value })} />
      <${Select} class="filter-select" aria-label="Agent" value=${agentId} options=${agentOptions(names, agentId)} onChange=${(value) => go({ agent_id: value })} />
    </div>
    ${pages.problem && html`<${Notice} problem=${pages.problem} action=${{ label: "Try again", onClick: pages.reload }} />`}
    ${pages.items.length > 0 && html`<ul class="cards" role="list">
      ${pages.items.map((item) => html`<${Opinion} key=${`${item.message_id} ${item.user_id}`} item=${item} agent=${names.get(item.agent_id)} />`)}
    </ul>`}
    ${pages.items.length === 0 && !pages.loading && !pages.problem && html`<${Empty} icon="thumbs-up" title=${rating || agentId ? "No feedback is like that" : "No feedback yet"}
      text="Each answer in a chat can be rated, with a comment." />`}
    <${More} pages=${pages} />
  </div>`;
}

const WORDS = { 1: { icon: "thumbs-up", label: "Good answer", kind: "accent" }, "-1": { icon: "thumbs-down", label: "Bad answer", kind: "danger" } };

function Opinion({ item, agent }) {
  const word = WORDS[item.rating];
  return html`<li class="card stack stack-tight">
    <div class="row row-between">
      ${word ? html`<${Badge} kind=${word.kind} icon=${word.icon}>${word.label}<//>` : html`<${Badge}>Comment<//>`}
      <span class="small muted"><${RelativeTime} at=${item.updated_at} /></span>
    </div>
    ${item.comment && html`<p class="values-text" dir="auto">${item.comment}</p>`}
    <p class="small muted"><span dir="auto">${item.user_id}</span> on <span dir="auto">${agent ?? "an agent"}</span>.${" "}<a href=${href(`/threads/${item.thread_id}`, { message: item.message_id })}>Open the answer</a></p>
  </li>`;
}
