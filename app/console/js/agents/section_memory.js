// Which part of a thread the model is sent.
import { html } from "../../vendor/preact.js";
import { MEMORY_FIELDS } from "./draft.js";
import { NumberField, Section } from "./fields.js";
import { JsonField } from "./json_field.js";
import { MemoryDrawing } from "./memory_drawing.js";

export const STRATEGIES = [
  { value: "", name: "As the service says", words: "The service's own strategy, token window unless the operator chose another." },
  { value: "last_n", name: "Last messages", words: "Only the newest messages. Cheap, and forgets what was said before." },
  { value: "first_last", name: "First and last", words: "The beginning, where the task often stands, and the newest messages." },
  { value: "summarize", name: "Summary", words: "Older messages as a summary that a model writes, the rest in full." },
  { value: "token_window", name: "Token window", words: "As many of the newest messages as fit into a number of tokens." },
];

const PARAMETERS = {
  n: { label: "Messages", help: "How many of the newest.", min: 1 },
  first: { label: "First messages", help: "How many from the beginning.", min: 0 },
  last: { label: "Last messages", help: "How many of the newest.", min: 1 },
  recent: { label: "Recent messages", help: "How many stay in full at least.", min: 1 },
  max_tokens: { label: "Tokens", help: "The most that the chat may take.", min: 1 },
  step: { label: "Step", help: "By how many messages the edge moves. 10 keeps what providers cache.", min: 1 },
};

export function MemorySection({ form }) {
  const strategy = form.get("memory.strategy");
  const other = strategy === "other";
  const options = other ? [...STRATEGIES, { value: "other", name: "Registered", words: "A strategy that this program registered, with options of its own." }] : STRATEGIES;
  const choose = (value) => form.set("memory", { ...form.get("memory"), strategy: value, fields: {} });
  return html`
    <${Section} id="memory" title="Memory" help="Chats grow; models read only so much. The strategy decides which messages the model is sent with each new one.">
      <fieldset class="choice-cards" disabled=${form.readOnly}>
        <legend class="visually-hidden">Strategy</legend>
        ${options.map((option) => html`
          <label key=${option.value} class=${`choice-card ${strategy === option.value ? "chosen" : ""}`}>
            <input class="choice-control" type="radio" name="memory-strategy" value=${option.value} checked=${strategy === option.value} onChange=${() => choose(option.value)} />
            <span class="choice-card-name">${option.name}</span>
            <span class="choice-card-words">${option.words}</span>
          </label>`)}
      </fieldset>
      ${other && html`<${JsonField} form=${form} path="memory.other" errorPath="memory" label="Strategy and its options" help="As JSON, with the name in strategy." />`}
      ${strategy in MEMORY_FIELDS && html`
        <div class="memory-detail">
          <div class="field-trio">
            ${Object.entries(MEMORY_FIELDS[strategy]).map(([name, value]) => html`
              <${NumberField} key=${`${strategy}-${name}`} form=${form} path=${`memory.fields.${name}`} errorPath=${`memory.${name}`} placeholder=${String(value)}
                step="1" ...${PARAMETERS[name]} help=${`${PARAMETERS[name].help} Default: ${value.toLocaleString("en")}.`} />`)}
          </div>
          <${MemoryDrawing} strategy=${strategy} fields=${form.get("memory.fields")} />
        </div>`}
    <//>`;
}
