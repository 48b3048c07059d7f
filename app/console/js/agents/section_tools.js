// The tools that the agent's model may call.
import { html, useState } from "../../vendor/preact.js";
import { Checkbox } from "../ui/fields.js";
import { ChoiceField, NumberField, Section } from "./fields.js";

const DEADLINES = [
  { value: "default", label: "As the service says" },
  { value: "given", label: "So many minutes" },
  { value: "never", label: "For ever" },
];
// With fewer tools there is nothing to look for.
const WORTH_SEARCHING = 8;

/** Tools as groups: those of one server together, with an entry for all of them. */
export function groupsOf(tools) {
  const groups = new Map();
  for (const tool of tools) {
    const server = tool.type === "mcp" ? tool.name.split("/")[0] : "";
    if (!groups.has(server)) groups.set(server, { server, tools: [] });
    groups.get(server).tools.push(tool);
  }
  return [...groups.values()].sort((a, b) => a.server.localeCompare(b.server));
}

export function ToolsSection({ form, tools }) {
  const [sought, setSought] = useState("");
  const chosen = form.get("tools");
  const known = new Set(tools.flatMap(({ name, type }) => (type === "mcp" ? [name, `${name.split("/")[0]}/*`] : [name])));
  const gone = chosen.filter(({ name }) => !known.has(name));
  const word = sought.trim().toLowerCase();
  const fits = (tool) => !word || tool.name.toLowerCase().includes(word) || tool.description.toLowerCase().includes(word);
  const groups = groupsOf(tools.filter(fits));
  const error = form.error("tools");
  return html`
    <${Section} id="tools" title="Tools" help="What the model may call while it answers. A call can wait for a person's yes.">
      ${error && html`<p class="field-error" role="alert">${error}</p>`}
      ${tools.length >= WORTH_SEARCHING && html`
        <input class="input" type="search" aria-label="Find a tool" placeholder="Find a tool" value=${sought} onInput=${(event) => setSought(event.currentTarget.value)} />`}
      ${!tools.length && html`<p class="section-empty">There are no tools yet. Admins add HTTP tools and MCP servers.</p>`}
      ${tools.length > 0 && !groups.length && html`<p class="section-empty">No tool has these words.</p>`}
      ${groups.map(({ server, tools: ofGroup }) => html`<${ToolGroup} key=${server} form=${form} server=${server} tools=${ofGroup} />`)}
      ${gone.length > 0 && html`
        <div class="tool-group">
          <h3>Not there any more</h3>
          <p class="section-help">No tool of this name is there for you. Runs go on without it, and say so.</p>
          <ul class="tool-list" role="list">
            ${gone.map(({ name }) => html`<${ToolRow} key=${name} form=${form} name=${name} description="" />`)}
          </ul>
        </div>`}
    <//>`;
}

function ToolGroup({ form, server, tools }) {
  const everything = `${server}/*`;
  const all = server !== "" && form.get("tools").some(({ name }) => name === everything);
  return html`
    <div class="tool-group">
      ${server && html`<h3><span class="mono">${server}</span> <span class="tool-group-kind">MCP server</span></h3>`}
      <ul class="tool-list" role="list">
        ${server && html`<${ToolRow} form=${form} name=${everything} label="All of its tools" description="Also those that an admin approves later." />`}
        ${tools.map((tool) => html`<${ToolRow} key=${tool.name} form=${form} name=${tool.name} description=${tool.description} tool=${tool} covered=${all} />`)}
      </ul>
    </div>`;
}

function ToolRow({ form, name, label, description, tool, covered }) {
  const chosen = form.get("tools");
  const index = chosen.findIndex((each) => each.name === name);
  const on = index >= 0;
  const turn = (wanted) => form.set("tools", wanted
    ? [...chosen, { name, approval: "never", deadline: "default", minutes: "" }]
    : chosen.filter((each) => each.name !== name));
  const path = `tools.${index}`;
  return html`
    <li class="tool-row">
      <${Checkbox} label=${label ?? html`<span class="mono">${name}</span>`} checked=${on || covered} disabled=${form.readOnly || (covered && !on)} onChange=${turn}
        help=${html`<span class="clamped" title=${description}>${description}</span>${noteOf(tool)}`} />
      ${on && html`
        <div class="tool-more">
          <${Checkbox} label="Each call waits for a person" checked=${chosen[index].approval === "always"} disabled=${form.readOnly}
            onChange=${(wanted) => form.set(`${path}.approval`, wanted ? "always" : "never")} />
          ${chosen[index].approval === "always" && html`
            <div class="field-pair">
              <${ChoiceField} form=${form} path=${`${path}.deadline`} label="How long a call waits" options=${DEADLINES} help="Then it is refused. The service says a day, unless its operator changed that." />
              ${chosen[index].deadline === "given" && html`<${NumberField} form=${form} path=${`${path}.minutes`} errorPath=${`${path}.expires_in_s`} label="Minutes" min="1" step="1" placeholder="60" />`}
            </div>`}
        </div>`}
    </li>`;
}

function noteOf(tool) {
  if (!tool) return null;
  const notes = [];
  if (tool.credentials === "user") notes.push("It is called with each user's own credentials, which they give in their settings.");
  if (tool.status !== "on") notes.push("It is off until an admin approves it.");
  return notes.length > 0 && html`<span class="tool-note">${notes.join(" ")}</span>`;
}
