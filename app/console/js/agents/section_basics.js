// What the agent is called, and what it is told.
import { html } from "../../vendor/preact.js";
import { LongField, Section, TextField } from "./fields.js";

export function BasicsSection({ form }) {
  const prompt = form.get("system_prompt");
  return html`
    <${Section} id="basics" title="Basics">
      <${TextField} form=${form} path="name" label="Name" maxlength="200" help="What people pick it by." />
      <${LongField} form=${form} path="description" rows="2" label="Description" maxlength="2000" help="What it is good for, in a sentence. Everybody who may talk to it sees this." />
      <${LongField} form=${form} path="system_prompt" label="System prompt" rows="8" grows maxlength="100000"
        placeholder="You are …"
        help="What the model is told before each conversation: who it is, how it answers, what it must not do. People who only talk to the agent do not see it." />
      <p class="field-count">${prompt.length ? `${prompt.length.toLocaleString("en")} characters, about ${Math.ceil(prompt.length / 4).toLocaleString("en")} tokens of each request.` : "Without one, the model is told nothing of its own."}</p>
    <//>`;
}
