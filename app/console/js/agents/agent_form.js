// The form of an agent: saving it, what others saved meanwhile, and what is not saved yet.
import { html, useRef, useState } from "../../vendor/preact.js";
import { api, newKey, toProblem } from "../api.js";
import { setGuard } from "../router.js";
import { Button } from "../ui/button.js";
import { Notice } from "../ui/states.js";
import { Conflict } from "./conflict.js";
import { canonical, changesOf, errorsOf } from "./draft.js";
import { FIELDS } from "./diff.js";
import { BasicsSection } from "./section_basics.js";
import { GuardrailsSection } from "./section_guardrails.js";
import { MemorySection } from "./section_memory.js";
import { ModelSection } from "./section_model.js";
import { BudgetSection, FallbacksSection, MetadataSection, OutputSection } from "./section_more.js";
import { ToolsSection } from "./section_tools.js";
import { TryIt } from "./try_it.js";

const PARTS = [
  ["basics", "Basics"],
  ["model", "Model"],
  ["tools", "Tools"],
  ["memory", "Memory"],
  ["guardrails", "Guardrails"],
  ["fallbacks", "Fallbacks"],
  ["output", "Form of answers"],
  ["budget", "Budget"],
  ["metadata", "Metadata"],
  ["try", "Try it"],
];

/** The fields of `form`, with the agent that it is about (`{}`: a new one). `onSaved(agent)` gets what the service stored. `onSeen(agent)`: it is what others stored. */
export function AgentForm({ form, choices, onSaved, onSeen }) {
  const { id, version } = form.base;
  const isNew = !id;
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const [theirs, setTheirs] = useState(null);
  const attempt = useRef({});
  const place = useRef(null);

  const showMistakes = () => setTimeout(() => {
    const first = place.current?.querySelector("[aria-invalid=true]");
    // In the middle: the bar with the button stands over the lower end of the form.
    first?.focus({ preventScroll: true });
    first?.scrollIntoView({ block: "center" });
  }, 0);
  const save = async (event) => {
    event?.preventDefault();
    if (busy || form.readOnly) return;
    setProblem(null);
    if (Object.keys(form.mistakes).length) {
      form.setErrors(form.mistakes);
      showMistakes();
      return;
    }
    setBusy(true);
    try {
      const saved = isNew ? await create(form.body, attempt.current) : await api.patch(`/agents/${id}`, changesOf(form.base, form.body), { etag: `"${version}"` });
      setGuard(null);
      form.start(saved);
      onSaved(saved);
    } catch (error) {
      const found = toProblem(error);
      if (found.status === 412) setTheirs(await api.get(`/agents/${id}`));
      else {
        setProblem(found);
        form.setErrors(errorsOf(found));
        showMistakes();
      }
    } finally {
      setBusy(false);
    }
  };
  const { providers, tools } = choices;
  return html`
    <div class=${isNew ? "agent-columns agent-columns-single" : "agent-columns"}>
      <form class="agent-form" ref=${place} onSubmit=${save} novalidate aria-label=${isNew ? "New agent" : "Settings of the agent"}
        onKeyDown=${(event) => (event.ctrlKey || event.metaKey) && event.key === "s" && save(event)}>
        ${form.readOnly && html`<${Notice}>You may read this agent, not change it. Its owners can give you more.<//>`}
        <${Jumps} isNew=${isNew} />
        <${BasicsSection} form=${form} />
        <${ModelSection} form=${form} providers=${providers} />
        <${ToolsSection} form=${form} tools=${tools} />
        <${MemorySection} form=${form} />
        <${GuardrailsSection} form=${form} providers=${providers} />
        <${FallbacksSection} form=${form} providers=${providers} />
        <${OutputSection} form=${form} />
        <${BudgetSection} form=${form} />
        <${MetadataSection} form=${form} />
        ${!form.readOnly && html`<${SaveBar} form=${form} isNew=${isNew} busy=${busy} problem=${problem} />`}
      </form>
      ${!isNew && html`<${TryIt} agent=${form.base} unsaved=${form.changed} onSave=${save} />`}
      ${theirs && html`<${Conflict} base=${form.base} theirs=${theirs} mine=${form.body} onClose=${() => setTheirs(null)} onTake=${(kept) => {
        form.start(theirs, kept);
        onSeen(theirs);
        setTheirs(null);
      }} />`}
    </div>`;
}

/** Made once, also where the answer was lost and the button is pressed again. */
function create(body, attempt) {
  const text = canonical(body);
  if (attempt.text !== text) Object.assign(attempt, { text, key: newKey() });
  return api.post("/agents", body, { key: attempt.key });
}

function Jumps({ isNew }) {
  const jump = (id) => () => {
    document.getElementById(`section-${id}`)?.scrollIntoView({ behavior: "smooth", block: "start" });
    document.getElementById(`title-${id}`)?.focus({ preventScroll: true });
  };
  return html`
    <nav class="jumps" aria-label="Parts of the form">
      ${PARTS.filter(([id]) => id !== "try" || !isNew).map(([id, name]) => html`<button key=${id} type="button" class="jump" onClick=${jump(id)}>${name}</button>`)}
    </nav>`;
}

function SaveBar({ form, isNew, busy, problem }) {
  const mistakes = Object.entries(form.errors);
  if (!isNew && !form.changed && !problem) return null;
  const changed = isNew ? [] : Object.keys(changesOf(form.base, form.body)).map((field) => FIELDS[field]);
  return html`
    <div class="save-bar" role="region" aria-label="Save">
      ${mistakes.length > 0
        ? html`<${Notice} kind="danger" title="Something in the form is not right yet">
            ${mistakes.map(([path, message]) => html`<p key=${path}>${nameOf(path)}: ${message}</p>`)}<//>`
        : problem && html`<${Notice} problem=${problem} />`}
      <div class="save-row">
        <span class="save-words">${isNew ? "" : changed.length ? `Not saved: ${changed.join(", ")}` : "Not saved"}</span>
        ${!isNew && html`<${Button} kind="quiet" disabled=${busy} onClick=${() => form.start(form.base)}>Discard<//>`}
        <${Button} kind="primary" type="submit" busy=${busy}>${isNew ? "Make the agent" : `Save as version ${form.base.version + 1}`}<//>
      </div>
    </div>`;
}

/** "settings.temperature" → "Settings, temperature". */
function nameOf(path) {
  const [field, ...rest] = path.split(".");
  return [FIELDS[field] ?? field, ...rest.map((step) => (/^\d+$/.test(step) ? String(Number(step) + 1) : step.replaceAll("_", " ")))].join(", ");
}
