// What holds the user, and what is left of it.
import { html } from "../../vendor/preact.js";
import { api } from "../api.js";
import { useLoad } from "../ui/loading.js";
import { Notice, Spinner } from "../ui/states.js";
import { fullTime } from "../ui/time.js";

const number = (value) => value.toLocaleString("en");
const bytes = (value) => (value >= 1e9 ? `${(value / 1e9).toFixed(1)} GB` : value >= 1e6 ? `${(value / 1e6).toFixed(1)} MB` : `${number(Math.round(value / 1000))} kB`);
const dollars = (value) => `$${value.toFixed(2)}`;
export const LIMITS = {
  tokens_per_day: { name: "Tokens today", show: number },
  cost_per_day: { name: "Cost today", show: dollars },
  requests_per_minute: { name: "Requests in a minute", show: number },
  runs: { name: "Answers at once", show: number },
  streams: { name: "Open streams", show: number },
  files_bytes: { name: "Files", show: bytes },
  threads: { name: "Chats", show: number },
  thread_rows: { name: "Entries of the longest chat", show: number },
  agent_versions: { name: "Versions of agents", show: number },
};

export function Limits() {
  const { data, problem } = useLoad(() => api.get("/me"));
  const limits = Object.entries(LIMITS).filter(([name]) => data?.limits[name]);
  return html`
    <section class="form-section" aria-labelledby="title-limits">
      <header class="form-section-head">
        <h2 id="title-limits">Limits</h2>
        <p class="section-help">What holds you, and what is used of it. An admin can change it.</p>
      </header>
      ${problem && html`<${Notice} problem=${problem} />`}
      ${!data && !problem && html`<${Spinner} />`}
      <ul class="limit-list" role="list">
        ${limits.map(([name, words]) => html`<${Limit} key=${name} words=${words} of=${data.limits[name]} />`)}
      </ul>
    </section>`;
}

function Limit({ words, of }) {
  const { limit, used, resets_at: resets } = of;
  const shown = `${used === null ? "Not counted" : words.show(used)}${limit === null ? ", no limit" : ` of ${words.show(limit)}`}`;
  const part = limit && used !== null ? Math.min(1, used / limit) : null;
  return html`
    <li class="limit-row">
      <span>${words.name}</span>
      <span class="limit-use" title=${resets && used ? `Free again ${fullTime(resets)}` : undefined}>${shown}</span>
      ${part !== null && html`<meter class=${`limit-meter ${part >= 0.8 ? "high" : ""}`} min="0" max="1" value=${part} aria-label=${`${words.name}: ${shown}`}>${Math.round(part * 100)} %</meter>`}
    </li>`;
}
