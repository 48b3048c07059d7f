// The agents that the user sees.
import { html, useState } from "../../vendor/preact.js";
import { api } from "../api.js";
import { href } from "../router.js";
import { Button } from "../ui/button.js";
import { TextInput } from "../ui/fields.js";
import { useLoad } from "../ui/loading.js";
import { Badge, Empty, Notice, Spinner } from "../ui/states.js";
import { RelativeTime } from "../ui/time.js";
import { accessTo, isForSomeAgents } from "./access.js";

// So many are looked through on this page; the rest is for the API.
const MOST_AGENTS = 1000;
const WORTH_SEARCHING = 6;

async function loadAgents() {
  const agents = [];
  for await (const agent of api.all("/agents")) {
    agents.push(agent);
    if (agents.length >= MOST_AGENTS) break;
  }
  return { agents };
}

export default function AgentsView() {
  const { data, problem, reload } = useLoad(loadAgents);
  const [sought, setSought] = useState("");
  return html`
    <div class="page">
      <header class="page-head">
        <h1>Agents</h1>
        ${!isForSomeAgents() && html`<${Button} kind="primary" icon="plus" href=${href("/agents/new")}>New agent<//>`}
      </header>
      ${problem && html`<${Notice} problem=${problem} action=${{ label: "Try again", onClick: reload }} />`}
      ${!data && !problem && html`<${Spinner} />`}
      ${data && data.agents.length === 0 && html`<${Empty} icon="bot" title="No agents yet" action=${{ label: "Make the first one", href: href("/agents/new"), icon: "plus" }}
        text="An agent is a model with instructions, tools and a memory. A name is enough to begin." />`}
      ${data && data.agents.length > 0 && html`<${AgentList} data=${data} sought=${sought} onSeek=${setSought} />`}
    </div>`;
}

function AgentList({ data, sought, onSeek }) {
  const word = sought.trim().toLowerCase();
  const found = data.agents.filter((agent) => [agent.name, agent.description, agent.model, agent.provider].some((text) => text?.toLowerCase().includes(word)) || !word);
  return html`
    ${data.agents.length >= WORTH_SEARCHING && html`<${TextInput} type="search" class="agents-search" aria-label="Find an agent" placeholder="Find an agent by name, description or model" value=${sought} onInput=${onSeek} />`}
    <p class="visually-hidden" role="status">${word ? `${found.length} agents` : ""}</p>
    ${!found.length && html`<p class="section-empty">No agent has these words.</p>`}
    <ul class="agent-list" role="list">
      ${found.map((agent) => html`<${AgentRow} key=${agent.id} agent=${agent} access=${accessTo(agent)} />`)}
    </ul>
    ${data.agents.length >= MOST_AGENTS && html`<p class="section-help">These are the newest ${MOST_AGENTS.toLocaleString("en")}.</p>`}`;
}

function AgentRow({ agent, access }) {
  return html`
    <li class="agent-row">
      <div class="agent-row-main" dir="auto">
        <a class="agent-name" href=${href(`/agents/${agent.id}`)}>${agent.name}</a>
        ${agent.description && html`<p class="agent-description">${agent.description}</p>`}
      </div>
      <div class="agent-facts">
        <${Badge} kind=${access.may === "own" && access.role ? "accent" : ""}>${access.words}<//>
        ${"version" in agent && html`<span class="agent-model" dir="auto">${modelOf(agent)}</span>`}
        ${agent.updated_at && html`<${RelativeTime} at=${agent.updated_at} />`}
      </div>
      <${Button} class="agent-chat" kind="quiet" size="small" icon="message-square" href=${href("/", { agent_id: agent.id })} aria-label=${`Chat with ${agent.name}`}>Chat<//>
    </li>`;
}

/** The model in words: the agent's own, or the service's default. */
export function modelOf({ provider, model }) {
  if (!provider && !model) return "Default model";
  return [model, provider].filter(Boolean).join(" · ");
}
