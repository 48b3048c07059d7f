// `/admin/audit`: who did what to which resource, newest first.

import { html, useEffect, useState } from "../../vendor/preact.js";
import { href, navigate } from "../router.js";
import { Button } from "../ui/button.js";
import { Checkbox } from "../ui/fields.js";
import { usePages } from "../ui/loading.js";
import { Badge, Empty, Notice } from "../ui/states.js";
import { RelativeTime } from "../ui/time.js";
import { AuditFilters, queryOf } from "./audit_filters.js";
import { isLook, operationOf, sentenceOf } from "./audit_words.js";
import { More } from "./more.js";
import { PageHead } from "./page_head.js";
import { Records } from "./records.js";
import { Values } from "./values.js";

// Most entries tell that something was looked at. Where these are not shown, pages are read on by themselves until
// there is something to read, within bounds.
const AT_ONCE = 100;
const GOAL = 20;
const MOST_BY_ITSELF = 1000;

export default function AuditView({ query }) {
  const pages = usePages("/audit", { ...queryOf(query), limit: AT_ONCE });
  const [open, setOpen] = useState(null);
  const [goal, setGoal] = useState(GOAL);
  const showsLooks = query.looks === "1" || query.action === "access";
  const shown = showsLooks ? pages.items : pages.items.filter((entry) => !isLook(entry));
  useEffect(() => {
    if (pages.more && !pages.loading && !pages.problem && shown.length < goal && pages.items.length < MOST_BY_ITSELF) pages.loadMore();
  });
  const more = () => {
    setGoal(shown.length + GOAL);
    if (pages.items.length >= MOST_BY_ITSELF) pages.loadMore();
  };
  const go = (chosen) => navigate(href("/admin/audit", { looks: query.looks, ...chosen }));
  const columns = [
    { label: "What happened", cell: (entry) => html`<${Sentence} entry=${entry} />` },
    { label: "Who", cell: (entry) => html`<${Person} person=${entry.actor} none=${"the\u00a0service"} />` },
    { label: "When", cell: (entry) => html`<${RelativeTime} at=${entry.created_at} />` },
    {
      label: "Details",
      isHidden: true,
      cell: (entry) => html`<${Button} size="small" kind="quiet" icon=${open === entry.id ? "chevron-up" : "chevron-down"} aria-expanded=${String(open === entry.id)}
        aria-label=${`Details: ${sentenceOf(entry)}`} onClick=${() => setOpen(open === entry.id ? null : entry.id)}>Details<//>`,
    },
  ];
  return html`<div class="page">
    <${PageHead} title="Audit" text="Who did what to which resource. Entries cannot be changed; of an erased user a pseudonym is left." />
    <${AuditFilters} key=${JSON.stringify(query)} query=${query} onChange=${go} />
    <${Checkbox} label="Also what was only looked at" checked=${showsLooks} disabled=${query.action === "access"} onChange=${(isOn) => go({ ...query, looks: isOn ? "1" : "" })} />
    ${pages.problem && html`<${Notice} problem=${pages.problem} action=${{ label: "Try again", onClick: pages.reload }} />`}
    ${shown.length > 0 && html`<${Records} caption="Entries of the audit log" columns=${columns} rows=${shown} keyOf=${(entry) => entry.id}
      details=${(entry) => open === entry.id && html`<${Values} values=${factsOf(entry)} />`} />`}
    ${shown.length === 0 && !pages.loading && !pages.more && !pages.problem && html`<${Empty} icon="scroll-text" title="Nothing matches" text="No entry is like that."
      action=${{ label: "Clear the filters", href: href("/admin/audit") }} />`}
    <${More} pages=${{ ...pages, items: shown, loadMore: more }} />
  </div>`;
}

function Sentence({ entry }) {
  const { subject, outcome, count } = entry;
  const operation = operationOf(entry);
  return html`<span class="record-name">${sentenceOf(entry)}</span>
    ${subject && html` <span class="muted">(<${Person} person=${subject} />)</span>`}
    ${operation && html` <span class="muted">${operation}</span>`}
    ${count > 1 && html` <span class="muted">${count} times</span>`}
    ${outcome === "denied" && html` <${Badge} kind="danger">refused<//>`}`;
}

/** A user, or the pseudonym of one who was erased. */
function Person({ person, none = "" }) {
  if (!person) return html`<span class="muted">${none}</span>`;
  if (person.user_id === null) return html`<span class="muted" title=${person.id}>erased user ${person.id.slice(-6)}</span>`;
  return html`<span dir="auto">${person.user_id}</span>`;
}

/** All that the entry says, without what it leaves open. */
function factsOf(entry) {
  const facts = {
    time: entry.created_at,
    action: entry.action,
    operation: entry.operation,
    [entry.resource_type ?? "resource"]: entry.resource_id,
    key: entry.key_id,
    request: entry.request_id,
    ...entry.details,
  };
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== null && value !== undefined));
}
