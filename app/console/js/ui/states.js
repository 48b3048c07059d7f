import { html } from "../../vendor/preact.js";
import { Button } from "./button.js";
import { Icon } from "./icon.js";

/** What to do where there is nothing yet: one sentence and one button. `action`: `{label, href or onClick, icon}`. */
export function Empty({ icon, title, text, action, level = 2 }) {
  return html`<div class="empty">
    ${icon && html`<${Icon} name=${icon} size="large" />`}
    ${title && (level === 1 ? html`<h1>${title}</h1>` : html`<h2>${title}</h2>`)}
    ${text && html`<p>${text}</p>`}
    ${action && html`<${Button} kind="primary" icon=${action.icon} href=${action.href} onClick=${action.onClick}>${action.label}<//>`}
  </div>`;
}

const ICONS = { danger: "circle-alert", warning: "triangle-alert", success: "circle-check", info: "info" };

/** Something to know. With `problem` it shows a `Problem`; `action`: `{label, onClick}`. `kind`: danger, warning, success, info. */
export function Notice({ kind, problem, title, children, action, errors }) {
  if (problem === null) return null;
  const shownKind = kind ?? (problem ? "danger" : "info");
  const shownErrors = errors ?? (problem && !children ? problem.errors : null) ?? [];
  const detail = problem && problem.detail !== problem.title ? problem.detail : "";
  return html`<div class=${`notice notice-${shownKind}`} role=${shownKind === "danger" ? "alert" : "status"}>
    <${Icon} name=${ICONS[shownKind]} />
    <div class="grow stack stack-tight">
      <div>
        ${(title ?? problem?.title) && html`<p class="notice-title">${title ?? problem.title}</p>`}
        ${detail && html`<p dir="auto">${detail}</p>`}
        ${shownErrors.map(({ loc, msg }) => html`<p dir="auto">${loc?.length ? html`<code>${loc.join(".")}</code> ` : ""}${msg}</p>`)}
        ${children}
      </div>
      ${action && html`<div><${Button} size="small" onClick=${action.onClick} busy=${action.busy}>${action.label}<//></div>`}
      ${problem?.requestId && problem.status >= 500 && html`<p class="muted">Request <code>${problem.requestId}</code></p>`}
    </div>
  </div>`;
}

/** Shown a moment after the wait began, so that quick answers do not flash. */
export function Spinner({ label = "Loading" }) {
  return html`<div class="waiting" role="status"><span class="spinner" aria-hidden="true"></span>${label}</div>`;
}

/** A word with a ground of its own. `kind`: "", accent, danger, warning. */
export function Badge({ kind = "", icon, children }) {
  return html`<span class=${`badge ${kind && `badge-${kind}`}`}>${icon && html`<${Icon} name=${icon} size="small" />`}${children}</span>`;
}
