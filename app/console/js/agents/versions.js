// The versions of an agent: what each one changed, and a way back to it.
import { html, useState } from "../../vendor/preact.js";
import { Segments } from "../admin/segments.js";
import { api } from "../api.js";
import { Button } from "../ui/button.js";
import { confirm } from "../ui/dialog.js";
import { Notice, Spinner } from "../ui/states.js";
import { usePages } from "../ui/loading.js";
import { RelativeTime } from "../ui/time.js";
import { toast } from "../ui/toast.js";
import { changesOf, toBody, toDraft } from "./draft.js";
import { differences } from "./diff.js";

/** The fields of one agent that are otherwise than in another, line by line. */
export function Differences({ before, after }) {
  const found = differences(before, after);
  if (!found.length) return html`<p class="section-empty">They are the same.</p>`;
  return html`
    <div class="differences">
      ${found.map(({ field, label, lines }) => html`
        <section key=${field} class="difference" aria-label=${label}>
          <h3>${label}</h3>
          <div class="difference-lines" dir="auto">
            ${lines.map((line, index) => html`<${Line} key=${index} ...${line} />`)}
          </div>
        </section>`)}
    </div>`;
}

const WORDS = { added: "Added", removed: "Removed" };
const SIGNS = { added: "+", removed: "−", same: " ", gap: "⋯" };

function Line({ kind, text }) {
  return html`
    <div class=${`difference-line ${kind}`}>
      <span class="difference-sign" aria-hidden="true">${SIGNS[kind]}</span>
      ${WORDS[kind] && html`<span class="visually-hidden">${WORDS[kind]}: </span>`}
      <span class="difference-text">${kind === "gap" ? "" : text}</span>
    </div>`;
}

export function Versions({ agent, mayEdit, onRestored }) {
  const { items, more, loadMore, problem, loading, reload } = usePages(`/agents/${agent.id}/versions`);
  const [open, setOpen] = useState(null);
  const [failure, setFailure] = useState(null);
  const restore = async (version) => {
    const what = `Version ${agent.version + 1} will be as version ${version.version} was. Versions between them stay.`;
    if (!(await confirm({ title: `Restore version ${version.version}?`, text: what, action: "Restore" }))) return;
    try {
      const changed = await api.patch(`/agents/${agent.id}`, changesOf(agent, toBody(toDraft(version)).body), { etag: `"${agent.version}"` });
      toast(`Version ${version.version} is restored, as version ${changed.version}.`);
      onRestored(changed);
      reload();
    } catch (error) {
      setFailure(error);
    }
  };
  return html`
    <div class="stack">
      <h2 class="visually-hidden">Versions</h2>
      ${problem && html`<${Notice} problem=${problem} />`}
      ${failure && html`<${Notice} problem=${failure} />`}
      <ol class="version-list" role="list">
        ${items.map((version, index) => html`
          <${Version} key=${version.version} version=${version} before=${items[index + 1]} current=${agent} mayEdit=${mayEdit}
            open=${open === version.version} onToggle=${() => setOpen(open === version.version ? null : version.version)} onRestore=${() => restore(version)} />`)}
      </ol>
      ${loading && html`<${Spinner} />`}
      ${more && html`<${Button} onClick=${loadMore}>Show older versions<//>`}
    </div>`;
}

function Version({ version, before, current, mayEdit, open, onToggle, onRestore }) {
  const [against, setAgainst] = useState("before");
  const isCurrent = version.version === current.version;
  const other = against === "before" ? before : current;
  return html`
    <li class="version">
      <div class="version-head">
        <button type="button" class="version-button" aria-expanded=${open} onClick=${onToggle}>
          <span class="version-number">Version ${version.version}${isCurrent ? " (now)" : ""}</span>
          <span class="version-words">${wordsOf(version, before)}</span>
        </button>
        <span class="version-time"><${RelativeTime} at=${version.updated_at} /></span>
        ${mayEdit && !isCurrent && html`<${Button} size="small" onClick=${onRestore} aria-label=${`Restore version ${version.version}`}>Restore<//>`}
      </div>
      ${open && html`
        <div class="version-body">
          ${before && !isCurrent && html`
            <${Segments} label="Compare" value=${against} onChange=${setAgainst} options=${[
              { value: "before", label: `With version ${before.version}, before it` },
              { value: "now", label: `With version ${current.version}, now` },
            ]} />`}
          ${other && other !== version
            ? html`<${Differences} before=${against === "before" ? other : version} after=${against === "before" ? version : other} />`
            : html`<${Differences} before=${{}} after=${version} />`}
        </div>`}
    </li>`;
}

function wordsOf(version, before) {
  if (version.version === 1) return "The first one";
  if (!before) return "";
  const changed = differences(before, version).map(({ label }) => label);
  return changed.join(", ");
}
