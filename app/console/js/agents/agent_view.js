// One agent: its settings, its versions, and a place to try it. Also a new one.
import { html, useState } from "../../vendor/preact.js";
import { api } from "../api.js";
import { href, navigate, setGuard } from "../router.js";
import { openSharing } from "../sharing/open_sharing.js";
import { Button } from "../ui/button.js";
import { confirm } from "../ui/dialog.js";
import { useLoad } from "../ui/loading.js";
import { Menu } from "../ui/menu.js";
import { Empty, Notice, Spinner } from "../ui/states.js";
import { Tabs } from "../ui/tabs.js";
import { RelativeTime } from "../ui/time.js";
import { toast } from "../ui/toast.js";
import { accessTo, isForSomeAgents } from "./access.js";
import { AgentForm } from "./agent_form.js";
import { useForm, useUnsavedGuard } from "./form.js";
import { Versions } from "./versions.js";

const NO_AGENT = {};
const share = ({ id, name }) => openSharing({ resourceType: "agent", resourceId: id, title: name, onLeft: () => navigate("/agents") });

async function loadChoices() {
  const [providers, tools] = await Promise.all([api.get("/providers"), api.get("/tools")]);
  return { providers: providers.data, tools: tools.data };
}

async function loadAgent(id, from) {
  if (!id) {
    const [choices, model] = await Promise.all([loadChoices(), from && api.get(`/agents/${from}`)]);
    return { choices, laidOver: model && { ...model, name: `${model.name} (copy)`.slice(0, 200) } };
  }
  const agent = await api.get(`/agents/${id}`);
  // Who may only talk to it chooses nothing.
  return { agent, choices: "version" in agent ? await loadChoices() : null };
}

export default function AgentView({ params, query }) {
  const id = params.agent_id ?? null;
  const { data, problem, reload } = useLoad(() => loadAgent(id, query.from), [id, query.from]);
  const [agent, setAgent] = useState(null);
  if (problem?.status === 404) {
    return html`<${Empty} level=${1} icon="bot" title="There is no such agent" text="It may have been deleted, or is not shared with you." action=${{ label: "All agents", href: href("/agents") }} />`;
  }
  if (problem) return html`<div class="page"><${Notice} problem=${problem} action=${{ label: "Try again", onClick: reload }} /></div>`;
  if (!data) return html`<${Spinner} />`;
  if (!id) return html`<${NewAgent} key=${query.from ?? ""} choices=${data.choices} laidOver=${data.laidOver} />`;
  const shown = agent?.id === id ? agent : data.agent;
  if (shown.id !== id) return html`<${Spinner} />`;
  const access = accessTo(shown);
  if (access.may === "talk") return html`<${AgentCard} agent=${shown} />`;
  return html`<${ExistingAgent} key=${id} agent=${shown} access=${access} choices=${data.choices} onChanged=${setAgent} />`;
}

function NewAgent({ choices, laidOver }) {
  const form = useForm(NO_AGENT, { laidOver });
  useUnsavedGuard(form.changed);
  return html`
    <div class="page page-narrow">
      <header class="page-head"><div>
        <p class="crumb"><a href=${href("/agents")}>Agents</a></p>
        <h1>New agent</h1>
        <p class="page-lead">A name is enough. Everything else has a default and can be changed later.</p>
      </div></header>
      <${AgentForm} form=${form} choices=${choices} onSaved=${(agent) => {
        toast(`${agent.name} is made.`);
        navigate(`/agents/${agent.id}`);
      }} />
    </div>`;
}

/** What a user of an agent sees of it who may only talk to it. */
function AgentCard({ agent }) {
  return html`
    <div class="page page-narrow">
      <header class="page-head">
        <div class="grow"><p class="crumb"><a href=${href("/agents")}>Agents</a></p><h1 dir="auto">${agent.name}</h1></div>
        <${Button} kind="primary" icon="message-square" href=${href("/", { agent_id: agent.id })}>Chat<//>
      </header>
      ${agent.description && html`<p dir="auto">${agent.description}</p>`}
      <${Notice}>You may talk to this agent. Its viewers, editors and owners also see its instructions, model and tools.<//>
      ${!isForSomeAgents() && html`<div class="row"><${Button} onClick=${() => share(agent)}>Your role<//></div>`}
    </div>`;
}

function ExistingAgent({ agent, access, choices, onChanged }) {
  const form = useForm(agent, { readOnly: access.may === "read" });
  const [failure, setFailure] = useState(null);
  useUnsavedGuard(form.changed);
  const saved = (next) => {
    onChanged(next);
    toast(`Saved as version ${next.version}.`);
  };
  const restored = (next) => {
    form.start(next);
    onChanged(next);
  };
  const remove = async () => {
    const text = "It takes no more messages: those sent to its chats are refused. The chats and what was said in them stay readable. This cannot be undone.";
    if (!(await confirm({ title: `Delete ${agent.name}?`, text, action: "Delete", danger: true }))) return;
    try {
      await api.delete(`/agents/${agent.id}`);
      setGuard(null);
      toast(`${agent.name} is deleted.`);
      navigate("/agents");
    } catch (problem) {
      setFailure(problem);
    }
  };
  const items = [
    { label: "Duplicate", icon: "copy", href: href("/agents/new", { from: agent.id }) },
    access.may === "own" && { label: "Delete", icon: "trash", danger: true, onSelect: remove },
  ];
  const tabs = [
    { id: "settings", label: "Settings", content: () => html`<${AgentForm} form=${form} choices=${choices} onSaved=${saved} onSeen=${onChanged} />` },
    { id: "versions", label: "Versions", content: () => html`<${Versions} agent=${agent} mayEdit=${access.may !== "read"} onRestored=${restored} />` },
  ];
  return html`
    <div class="page agent-page">
      <header class="page-head">
        <div class="grow">
          <p class="crumb"><a href=${href("/agents")}>Agents</a></p>
          <h1 dir="auto">${agent.name}</h1>
          <p class="agent-subtitle">Version ${agent.version}, saved <${RelativeTime} at=${agent.updated_at} />. ${access.words}.</p>
        </div>
        <div class="row">
          <${Button} icon="message-square" href=${href("/", { agent_id: agent.id })}>Chat<//>
          <${Button} icon="users" onClick=${() => share(agent)}>${access.may === "own" ? "Share" : "Your role"}<//>
          <${Menu} label="More for this agent" items=${items} />
        </div>
      </header>
      ${failure && html`<${Notice} problem=${failure} />`}
      <${Tabs} label="Parts of the agent" tabs=${tabs} />
    </div>`;
}
