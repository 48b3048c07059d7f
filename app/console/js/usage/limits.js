// What the user may use, and what is left of it.

import { html } from "../../vendor/preact.js";
import { RelativeTime } from "../ui/time.js";
import { formatBytes, formatCount, formatMoney } from "./numbers.js";

/** The limits in the order in which people ask for them, with what they count. `of`: makes a text of an amount. */
export const LIMITS = [
  { name: "tokens_per_day", label: "Tokens a day", help: "Input and output together, in a day of UTC.", of: formatCount },
  { name: "cost_per_day", label: "Cost a day", help: "In US dollars, in a day of UTC.", of: formatMoney },
  { name: "requests_per_minute", label: "Requests a minute", help: "All requests to the API.", of: formatCount },
  { name: "runs", label: "Runs at once", help: "Answers that are being written, or wait for a person.", of: formatCount },
  { name: "streams", label: "Open streams", help: "Connections that follow what happens as it happens.", of: formatCount },
  { name: "threads", label: "Chats", help: "All chats of the user.", of: formatCount },
  { name: "thread_rows", label: "Length of a chat", help: "Messages and other entries of one chat's log.", of: formatCount },
  { name: "files_bytes", label: "Files", help: "All files of the user together.", of: formatBytes },
  { name: "agent_versions", label: "Versions of agents", help: "Each change of an agent makes one.", of: formatCount },
];

/** `limits` as `GET /me` has them. */
export function Limits({ limits }) {
  const held = LIMITS.filter(({ name }) => limits[name] && limits[name].limit !== null);
  const free = LIMITS.filter(({ name }) => limits[name] && limits[name].limit === null);
  return html`<div class="limits">
    ${held.length > 0 && html`<ul class="limits-list">${held.map((limit) => html`<${Limit} key=${limit.name} ...${limit} use=${limits[limit.name]} />`)}</ul>`}
    ${free.length > 0 && html`<p class="small muted">Without a limit: ${free.map(({ name, label, of }) => {
      const { used } = limits[name];
      return used === null ? label.toLowerCase() : `${label.toLowerCase()} (${of(used)} now)`;
    }).join(", ")}.</p>`}
  </div>`;
}

function Limit({ name, label, of, use }) {
  const used = use.used ?? 0;
  const left = Math.max(0, use.limit - used);
  const part = use.limit === 0 ? 1 : Math.min(1, used / use.limit);
  // A minute is over before it is read.
  const isOfDay = use.resets_at && name !== "requests_per_minute";
  const tone = part >= 1 ? "full" : part >= 0.8 ? "near" : "fine";
  return html`<li class="limit">
    <div class="limit-line"><span class="limit-name">${label}</span><span class="limit-left">${part >= 1 ? "none left" : `${of(left)} left`}</span></div>
    <svg class=${`limit-bar is-${tone}`} role="img" aria-label=${`${label}: ${of(used)} of ${of(use.limit)} used`} focusable="false">
      <rect class="limit-used" width=${`${part * 100}%`} height="100%" />
    </svg>
    <div class="small muted">${of(used)} of ${of(use.limit)} used${isOfDay && html`, resets <${RelativeTime} at=${use.resets_at} />`}</div>
  </li>`;
}
