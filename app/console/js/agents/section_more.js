// Fallbacks, the form of answers, the budget and what else belongs to an agent.
import { html } from "../../vendor/preact.js";
import { Button } from "../ui/button.js";
import { newKey } from "./draft.js";
import { NumberField, Section } from "./fields.js";
import { checkObject, checkSchema, JsonField } from "./json_field.js";
import { EntryTools } from "./section_guardrails.js";
import { ModelChoice } from "./section_model.js";

const SCHEMA_EXAMPLE = {
  type: "object",
  properties: { answer: { type: "string" }, sure: { type: "boolean" } },
  required: ["answer", "sure"],
  additionalProperties: false,
};

export function FallbacksSection({ form, providers }) {
  const fallbacks = form.get("fallbacks");
  const change = (next) => form.set("fallbacks", next);
  return html`
    <${Section} id="fallbacks" title="Fallbacks" help="Models that are asked, in this order, where the one before does not begin to answer.">
      ${fallbacks.length === 0 && html`<p class="section-empty">No fallbacks: where the model cannot answer, the run fails.</p>`}
      <ol class="entry-list">
        ${fallbacks.map((each, index) => html`
          <li key=${each.key} class="entry" aria-label=${`Fallback ${index + 1}`}>
            <header class="entry-head">
              <h3>Fallback ${index + 1}</h3>
              ${!form.readOnly && html`<${EntryTools} name="fallback" index=${index} list=${fallbacks} change=${change} />`}
            </header>
            <${ModelChoice} form=${form} providers=${providers} providerPath=${`fallbacks.${index}.provider`} modelPath=${`fallbacks.${index}.model`} />
          </li>`)}
      </ol>
      ${!form.readOnly && fallbacks.length < 8 && html`
        <div class="add-row"><${Button} size="small" icon="plus" onClick=${() => change([...fallbacks, { key: newKey(), provider: "", model: "" }])}>Add a fallback<//></div>`}
    <//>`;
}

export function OutputSection({ form }) {
  return html`
    <${Section} id="output" title="Form of answers" help="With a JSON Schema each answer is JSON that fits it. An answer that does not is asked for again, up to three times.">
      <${JsonField} form=${form} path="output_schema" label="Output schema" optional example=${SCHEMA_EXAMPLE} check=${checkSchema}
        help="A JSON Schema with an object at its top. Empty: answers are text." />
    <//>`;
}

export function BudgetSection({ form }) {
  return html`
    <${Section} id="budget" title="Budget" help="What this agent's model calls may use in one day of UTC, all of its users together. Past it, messages are refused until the next day.">
      <div class="field-pair">
        <${NumberField} form=${form} path="budget.tokens_per_day" label="Tokens a day" min="0" step="1" placeholder="No limit" help="Input and output." />
        <${NumberField} form=${form} path="budget.cost_per_day" label="US dollars a day" min="0" step="0.01" placeholder="No limit" help="Calls whose price is not known count nothing." />
      </div>
    <//>`;
}

export function MetadataSection({ form }) {
  return html`
    <${Section} id="metadata" title="Metadata" help="Your own data for programs. Models are not sent it.">
      <${JsonField} form=${form} path="metadata" label="Metadata" rows="4" check=${checkObject} example=${{ team: "support" }} help="A JSON object of up to 16 KiB." />
    <//>`;
}
