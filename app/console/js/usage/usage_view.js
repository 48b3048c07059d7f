// `/usage`: what was used, and what it cost, by day, model, agent and user; what is left of one's limits.

import { html } from "../../vendor/preact.js";
import { PageHead } from "../admin/page_head.js";
import { useAgentNames } from "../admin/agent_names.js";
import { api } from "../api.js";
import { href } from "../router.js";
import { session } from "../session.js";
import { useLoad } from "../ui/loading.js";
import { Empty, Notice, Spinner } from "../ui/states.js";
import { Tabs } from "../ui/tabs.js";
import { Days } from "./days.js";
import { Limits } from "./limits.js";
import { counted, formatCount, formatMoney, formatShare, formatShort } from "./numbers.js";
import { RangePicker, periodFor } from "./range.js";
import { Ranking, ranked } from "./ranking.js";
import { loadDays, loadGroups, loadTotal } from "./usage_data.js";

// Of the largest; who wants the name of another one follows its link.
const MOST_NAMED = 50;

const GROUPS = [
  { id: "model", label: "By model", heading: "Model" },
  { id: "agent", label: "By agent", heading: "Agent" },
  { id: "user", label: "By user", heading: "User" },
];

export default function UsageView({ query }) {
  const period = periodFor(query);
  const whose = session.isAdmin ? "All model calls of all users" : "All your model calls";
  return html`<div class="page usage">
    <${PageHead} title="Usage" text=${`${whose}, those of failed and cancelled runs too. Days are days of UTC.`} />
    <${RangePicker} key=${`${period.first} ${period.last}`} period=${period} />
    <${Sums} period=${period} />
    <${OwnLimits} />
  </div>`;
}

function Sums({ period }) {
  const { data, problem, loading, reload } = useLoad(
    async () => {
      const [total, days] = await Promise.all([loadTotal(period), loadDays(period)]);
      return { total, days };
    },
    [period.first, period.last],
  );
  if (problem) return html`<${Notice} problem=${problem} action=${{ label: "Try again", onClick: reload }} />`;
  if (loading || !data) return html`<${Spinner} label="Adding up" />`;
  if (data.total.calls === 0) {
    return html`<${Empty} icon="chart-column" title="No model was called in these days" text="Usage is counted from the first message on."
      action=${{ label: "Start a chat", href: "#/" }} />`;
  }
  return html`<${Totals} total=${data.total} /><${Days} rows=${data.days} /><${Groups} period=${period} />`;
}

function Totals({ total }) {
  return html`<section aria-label="Totals" class="stack stack-tight">
    <dl class="totals">
      <div><dt>Cost</dt><dd>${total.costKnown ? formatMoney(total.cost) : "unknown"}</dd></div>
      <div><dt>Input tokens</dt><dd title=${formatCount(total.input)}>${formatShort(total.input)}</dd>
        ${total.cachedShare !== null && html`<dd class="totals-note">${formatShare(total.cachedShare)} from cache</dd>`}</div>
      <div><dt>Output tokens</dt><dd title=${formatCount(total.output)}>${formatShort(total.output)}</dd></div>
      <div><dt>Model calls</dt><dd>${formatCount(total.calls)}</dd></div>
    </dl>
    ${notesOf(total).map((text) => html`<p key=${text} class="small muted">${text}</p>`)}
  </section>`;
}

/** What one has to know about the numbers. */
function notesOf(total) {
  const notes = [];
  if (total.unpriced > 0) {
    const some = total.unpriced === total.calls ? "No call has a known price" : `${counted(total.unpriced, "call")} of models without a known price ${total.unpriced === 1 ? "is" : "are"} not in the cost`;
    notes.push(`${some}. An operator can set prices.`);
  }
  if (total.estimated) notes.push("Some tokens are estimated: where a provider did not say how many there were, the service counted them itself.");
  return notes;
}

function Groups({ period }) {
  const groups = session.isAdmin ? GROUPS : GROUPS.filter(({ id }) => id !== "user");
  const tabs = groups.map((group) => ({ ...group, content: () => html`<${Group} period=${period} group=${group} />` }));
  return html`<section aria-label="Who and what"><${Tabs} label="Sums" tabs=${tabs} /></section>`;
}

function Group({ period, group }) {
  const { data, problem, loading, reload } = useLoad(() => loadGroups(period, group.id), [period.first, period.last, group.id]);
  const names = useAgentNames(group.id === "agent" && data ? ranked(data.rows).slice(0, MOST_NAMED).map((row) => row.key) : []);
  if (problem) return html`<${Notice} problem=${problem} action=${{ label: "Try again", onClick: reload }} />`;
  if (loading || !data) return html`<${Spinner} label="Adding up" />`;
  return html`<${Ranking} caption=${`Usage ${group.label.toLowerCase()}`} heading=${group.heading} rows=${data.rows} nameOf=${(row) => nameOf(row, group.id, names)} />
    ${data.cut && html`<p class="small muted">There are more; the first ${formatCount(data.rows.length)} were compared.</p>`}`;
}

/** What a group is called, and where it leads. */
function nameOf(row, kind, names) {
  if (kind === "model") return { text: row.name, of: row.of, href: null };
  if (kind === "user") return { text: row.name ?? "No user", of: null, href: null };
  const name = names.get(row.key);
  if (name) return { text: name, of: null, href: href(`/agents/${row.key}`) };
  if (row.key === "") return { text: "No agent", of: null, href: null };
  if (names.has(row.key)) return { text: "Deleted agent", of: row.key.slice(-8), href: null };
  return { text: "Agent", of: row.key.slice(-8), href: href(`/agents/${row.key}`) };
}

function OwnLimits() {
  const { data, problem, reload } = useLoad(() => api.get("/me"), []);
  if (problem) return html`<${Notice} problem=${problem} action=${{ label: "Try again", onClick: reload }} />`;
  if (!data || Object.keys(data.limits).length === 0) return null;
  return html`<section class="stack" aria-labelledby="usage-limits">
    <h2 id="usage-limits">Your limits, and what is left</h2>
    <${Limits} limits=${data.limits} />
  </section>`;
}
