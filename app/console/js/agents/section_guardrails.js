// Rules for what goes in and what comes out.
import { html, useRef } from "../../vendor/preact.js";
import { Button, IconButton } from "../ui/button.js";
import { Checkbox } from "../ui/fields.js";
import { guardrailDraft, linesOf, PII_KINDS } from "./draft.js";
import { ChoiceField, LongField, NumberField, Section } from "./fields.js";
import { JsonField } from "./json_field.js";
import { moved } from "./lists.js";
import { ModelChoice } from "./section_model.js";

const TYPES = {
  blocklist: { name: "Blocklist", words: "Texts and regular expressions that must not occur." },
  pii: { name: "Personal data", words: "Addresses, numbers and accounts of people." },
  secrets: { name: "Secrets", words: "Keys and tokens in well-known forms." },
  max_length: { name: "Length", words: "Texts that are too long." },
  judge: { name: "Judge", words: "A model decides whether a text complies with your policy." },
};
const KINDS = { email: "E-mail addresses", phone: "Phone numbers", card: "Card numbers", iban: "IBANs", ip: "IP addresses" };
const STAGES = [
  { value: "both", label: "What goes in and out" },
  { value: "input", label: "Only what goes in" },
  { value: "output", label: "Only what comes out" },
];
const STAGE_HELP = {
  both: "Messages, files and results of tools, and the model's answers and calls.",
  input: "Messages, files and results of tools.",
  output: "The model's answers and its calls of tools.",
};
const ACTIONS = [
  { value: "block", label: "Block" },
  { value: "redact", label: "Redact" },
];
const ACTION_HELP = {
  block: "The message is refused, or the answer ends.",
  redact: "[redacted] stands in place of what was found.",
};

export function GuardrailsSection({ form, providers }) {
  const guardrails = form.get("guardrails");
  const change = (next) => form.set("guardrails", next);
  const list = useRef(null);
  const add = (type) => {
    change([...guardrails, guardrailDraft({ type })]);
    // Who adds one fills it in next.
    setTimeout(() => list.current.lastElementChild.querySelector("input, textarea, select")?.focus(), 0);
  };
  return html`
    <${Section} id="guardrails" title="Guardrails" help="Each rule judges texts in this order. Nothing that a rule forbids leaves the service, not even in a stream.">
      ${guardrails.length === 0 && html`<p class="section-empty">No guardrails: texts pass as they are.</p>`}
      <ol class="entry-list" ref=${list}>
        ${guardrails.map((each, index) => html`
          <li key=${each.key} class="entry" aria-label=${`Guardrail ${index + 1}: ${TYPES[each.type]?.name ?? each.type}`}>
            <header class="entry-head">
              <h3>${TYPES[each.type]?.name ?? each.type}</h3>
              <span class="entry-words">${TYPES[each.type]?.words ?? "A guardrail that this program registered."}</span>
              ${!form.readOnly && html`<${EntryTools} name="guardrail" index=${index} list=${guardrails} change=${change} />`}
            </header>
            <${GuardrailFields} form=${form} each=${each} path=${`guardrails.${index}`} providers=${providers} />
          </li>`)}
      </ol>
      ${!form.readOnly && html`
        <div class="add-row" role="group" aria-label="Add a guardrail">
          <span class="add-row-label">Add</span>
          ${Object.entries(TYPES).map(([type, { name }]) => html`
            <${Button} key=${type} size="small" icon="plus" onClick=${() => add(type)}>${name}<//>`)}
        </div>`}
    <//>`;
}

/** Buttons that move an entry of a list up and down, and take it out. */
export function EntryTools({ name, index, list, change }) {
  return html`
    <span class="entry-tools">
      <${IconButton} icon="arrow-up" label=${`Move ${name} ${index + 1} up`} disabled=${index === 0} onClick=${() => change(moved(list, index, -1))} />
      <${IconButton} icon="arrow-down" label=${`Move ${name} ${index + 1} down`} disabled=${index === list.length - 1} onClick=${() => change(moved(list, index, 1))} />
      <${IconButton} icon="trash" label=${`Remove ${name} ${index + 1}`} onClick=${() => change(list.filter((_, at) => at !== index))} />
    </span>`;
}

function GuardrailFields({ form, each, path, providers }) {
  if (each.asJson) return html`<${JsonField} form=${form} path=${`${path}.other`} errorPath=${path} label="Type and options" help="As JSON." />`;
  return html`
    ${each.type === "blocklist" && html`<${LongField} form=${form} path=${`${path}.patterns`} label="Patterns" rows="4" mono error=${patternErrors(form, each, path)}
      placeholder=${"project falcon\n/case [0-9]{4,6}/"}
      help="One a line. Case does not matter. Between slashes a line is a regular expression, whose longest match must have an end: {1,50} instead of +." />`}
    ${each.type === "pii" && html`<${Kinds} form=${form} path=${path} each=${each} />`}
    ${each.type === "max_length" && html`<${NumberField} form=${form} path=${`${path}.characters`} label="Characters" min="1" step="1" placeholder="20000" help="A longer text is refused." />`}
    ${each.type === "judge" && html`
      <${ModelChoice} form=${form} providers=${providers} providerPath=${`${path}.provider`} modelPath=${`${path}.model`} />
      <${LongField} form=${form} path=${`${path}.policy`} label="Policy" rows="4" placeholder="No medical advice. No insults."
        help="What a text must comply with, in plain words. The judge's calls are counted in the usage." />`}
    <div class="field-pair">
      <${ChoiceField} form=${form} path=${`${path}.stage`} label="Looks at" options=${STAGES} help=${STAGE_HELP[each.stage]} />
      <${ChoiceField} form=${form} path=${`${path}.action`} label="Then" options=${ACTIONS} help=${ACTION_HELP[each.action]} />
    </div>`;
}

/** The mistakes of a blocklist, each with the pattern that it is about. */
function patternErrors(form, each, path) {
  const patterns = linesOf(each.patterns);
  const found = Object.entries(form.errors).filter(([key]) => key.startsWith(`${path}.patterns`));
  return found.map(([key, message]) => {
    const at = Number(key.slice(`${path}.patterns.`.length));
    return key === `${path}.patterns` || !(at in patterns) ? message : `${patterns[at]}: ${message}`;
  }).join("\n");
}

function Kinds({ form, path, each }) {
  const turn = (kind) => (on) => form.set(`${path}.kinds`, on ? [...each.kinds, kind] : each.kinds.filter((other) => other !== kind));
  return html`
    <fieldset class="check-row" disabled=${form.readOnly}>
      <legend>Finds</legend>
      ${PII_KINDS.map((kind) => html`<${Checkbox} key=${kind} label=${KINDS[kind]} checked=${each.kinds.includes(kind)} onChange=${turn(kind)} />`)}
      ${form.error(`${path}.kinds`) && html`<p class="field-error" role="alert">${form.error(`${path}.kinds`)}</p>`}
    </fieldset>`;
}
