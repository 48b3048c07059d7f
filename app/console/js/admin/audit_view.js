// `/admin/audit`: who did what to which resource, newest first.

import { html, useState } from "../../vendor/preact.js";
import { href, navigate } from "../router.js";
import { usePages } from "../ui/loading.js";
import { Badge, Empty, Notice } from "../ui/states.js";
import { RelativeTime } from "../ui/time.js";
import { AuditFilters, queryOf } from "./audit_filters.js";
import { sentenceOf } from "./audit_words.js";
import { More } from "./more.js";
import { PageHead } from "./page_head.js";
import { Records } from "./records.js";
import { Values } from "./values.js";

const COLUMNS = [
  { label: "What happened", cell: (entry) => html`<${Sentence} entry=${entry} />` },
  { label: "Who", cell: (entry) => html`<${Person} person=${entry.actor} none="the service" />` },
  { label: "When", cell: (entry) => html`<${RelativeTime} at=${entry.created_at} />` },
];

export default function AuditView({ query }) {
  const pages = usePages("/audit", queryOf(query));
  return html`<div class="page">
    <${PageHead} title="Audit" text="Who did what to which resource. Entries cannot be changed; after a user was erased, a pseudonym is all that is left." />
    <${AuditFilters} key=${JSON.stringify(query)} query=${query} onChange=${(chosen) => navigate(href("/admin/audit", chosen))} />
    ${pages.problem && html`<${Notice} problem=${pages.problem} action=${{ label: "Try again", onClick: pages.reload }} />`}
    ${pages.items.length > 0 && html`<${Records} caption="Entries of the audit log" columns=${COLUMNS} rows=${pages.items} keyOf=${(entry) => entry.id} details=${detailsOf} />`}
    ${pages.items.length === 0 && !pages.loading && !pages.problem && html`<${Empty} title="Nothing fits" text="No entry is like that. Take a filter away." />`}
    <${More} pages=${pages} />
  </div>`;
}

function Sentence({ entry }) {
  const { subject } = entry;
  return html`<span class="record-name">${sentenceOf(entry)}</span>
    ${subject && html` <span class="muted">of <${Person} person=${subject} /></span>`}
    ${entry.outcome === "denied" && html` <${Badge} kind="danger">refused<//>`}
    ${entry.count > 1 && html` <span class="muted">${entry.count} times</span>`}`;
}

/** A user, or the pseudonym of one who was erased. */
function Person({ person, none = "" }) {
  if (!person) return html`<span class="muted">${none}</span>`;
  if (person.user_id === null) return html`<span class="muted" title=${person.id}>erased user ${person.id.slice(-6)}</span>`;
  return html`<span dir="auto">${person.user_id}</span>`;
}

function detailsOf(entry) {
  const facts = {
    time: entry.created_at,
    action: entry.action,
    operation: entry.operation,
    [entry.resource_type ?? "resource"]: entry.resource_id,
    key: entry.key_id,
    request: entry.request_id,
    ...entry.details,
  };
  const known = Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== null && value !== undefined));
  return html`<details class="fold"><summary>Details</summary><${Values} values=${known} /></details>`;
}
