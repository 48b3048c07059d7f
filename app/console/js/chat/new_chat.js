// A new chat: with which agent, and the first message.

import { html, useEffect, useRef, useState } from "../../vendor/preact.js";
import { api, newKey, toProblem } from "../api.js";
import { href, navigate } from "../router.js";
import { session } from "../session.js";
import { Button } from "../ui/button.js";
import { Combobox } from "../ui/combobox.js";
import { useLoad } from "../ui/loading.js";
import { Empty, Notice, Spinner } from "../ui/states.js";
import { Composer, DropArea } from "./composer.js";
import { openThread } from "./thread_session.js";

const SHOWN = 4;
const EXAMPLES = ["What can you help me with?", "Explain in three sentences how tides come about", "Help me write a short, friendly reminder"];

const lastName = () => `ai-agents.last-agent.${session.me.user_id}`;

/** All agents that one may talk to, the one that was used last first. */
async function loadAgents(wanted) {
  const agents = [];
  for await (const agent of api.all("/agents")) {
    agents.push(agent);
    if (agents.length >= 500) break;
  }
  const first = wanted ?? localStorage.getItem(lastName());
  if (first && !agents.some((agent) => agent.id === first)) {
    const named = await api.get(`/agents/${first}`).catch(() => null);
    if (named) agents.push(named);
  }
  return agents.sort((a, b) => (b.id === first) - (a.id === first));
}

async function makeAssistant() {
  const offered = await api.get("/tools").catch(() => ({ data: [] }));
  const tools = offered.data.map((tool) => tool.name).filter((name) => ["calculator", "current_time"].includes(name));
  return api.post("/agents", { name: "assistant", description: "Answers questions of all kinds.", system_prompt: "You are a helpful assistant. Answer clearly and briefly.", tools }, { key: newKey() });
}

function NoAgents({ onMade }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const make = async () => {
    setBusy(true);
    setProblem(null);
    try {
      await makeAssistant();
      await onMade();
    } catch (error) {
      setProblem(toProblem(error));
    }
    setBusy(false);
  };
  return html`<div class="new-chat-none"><${Empty} level=${1} icon="bot" title="Make your first agent" text="An agent answers you. Begin with a simple assistant, and change it when you know what you need." />
    <div class="row row-center"><${Button} kind="primary" icon="plus" busy=${busy} onClick=${make}>Make an assistant<//><${Button} href=${href("/agents/new")}>Design one<//></div>
    ${problem && html`<${Notice} problem=${problem} />`}</div>`;
}

function AgentPicker({ agents, chosen, onChoose }) {
  if (agents.length === 1) return html`<p class="new-chat-with muted">with <strong dir="auto">${agents[0].name}</strong></p>`;
  const cards = agents.slice(0, SHOWN);
  if (!cards.includes(chosen)) cards[cards.length - 1] = chosen;
  return html`<fieldset class="agent-cards"><legend>With which agent?</legend>
    <div class="agent-grid">
      ${cards.map((agent) => html`<label key=${agent.id} class="agent-card">
        <input type="radio" name="agent" class="visually-hidden" value=${agent.id} checked=${agent === chosen} onChange=${() => onChoose(agent.id)} />
        <span class="agent-card-name truncate" dir="auto">${agent.name}</span>
        ${agent.description && html`<span class="agent-card-text" dir="auto">${agent.description}</span>`}
      </label>`)}
    </div>
    ${agents.length > SHOWN && html`<${Combobox} aria-label="Another agent" placeholder=${`Another one of ${agents.length}`} free=${false} value=""
      options=${agents.map((agent) => ({ value: agent.id, label: agent.name }))} onInput=${(id) => agents.some((agent) => agent.id === id) && onChoose(id)} />`}
  </fieldset>`;
}

const examplesOf = (agent) => {
  const own = agent.metadata?.examples;
  return Array.isArray(own) && own.length ? own.filter((text) => typeof text === "string").slice(0, 4) : EXAMPLES;
};

function Beginning({ agents, wanted }) {
  const [chosenId, setChosenId] = useState(wanted ?? agents[0].id);
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const composer = useRef(null);
  const key = useRef(newKey());
  const chosen = agents.find((agent) => agent.id === chosenId) ?? agents[0];
  const choose = (id) => {
    setChosenId(id);
    key.current = newKey();
  };
  const begin = async (text, files) => {
    setBusy(true);
    setProblem(null);
    try {
      const made = await api.post("/threads", { agent_id: chosen.id }, { key: key.current });
      localStorage.setItem(lastName(), chosen.id);
      openThread(made.id).say(text, files);
      navigate(href(`/threads/${made.id}`));
    } catch (error) {
      composer.current.setText(text);
      setProblem(toProblem(error));
      setBusy(false);
    }
  };
  return html`<${DropArea} class="new-chat" onFiles=${(files) => composer.current?.addFiles(files)}>
    <div class="new-chat-inner">
      <h1>What shall we do?</h1>
      <${AgentPicker} agents=${agents} chosen=${chosen} onChoose=${choose} />
      ${problem && html`<${Notice} problem=${problem} />`}
      <${Composer} user=${session.me.user_id} onSend=${begin} sendable=${!busy} control=${composer} placeholder=${`Message ${chosen.name}`} />
      <ul class="examples" role="list" aria-label="Examples">
        ${examplesOf(chosen).map((text) => html`<li key=${text}><button type="button" class="example" dir="auto" onClick=${() => {
          composer.current.setText(text);
          composer.current.focus();
        }}>${text}</button></li>`)}
      </ul>
    </div>
  <//>`;
}

export default function NewChat({ query }) {
  const { data, problem, reload } = useLoad(() => loadAgents(query.agent_id), [query.agent_id]);
  useEffect(() => {
    document.title = "New chat · AI Agents";
  }, []);
  if (problem) return html`<div class="page page-narrow"><${Notice} problem=${problem} action=${{ label: "Try again", onClick: reload }} /></div>`;
  if (!data) return html`<${Spinner} />`;
  const wanted = data.some((agent) => agent.id === query.agent_id) ? query.agent_id : undefined;
  return html`<div class="view-full">${data.length ? html`<${Beginning} key=${wanted} agents=${data} wanted=${wanted} />` : html`<${NoAgents} onMade=${reload} />`}</div>`;
}
