// What an answer took: model, tokens, money, time.

import { html } from "../../vendor/preact.js";
import { api } from "../api.js";
import { CopyButton } from "../ui/copy_button.js";
import { Dialog } from "../ui/dialog.js";
import { useLoad } from "../ui/loading.js";
import { Notice, Spinner } from "../ui/states.js";
import { fullTime } from "../ui/time.js";
import { guardrailWords, noticeWords } from "./run_words.js";
import { count, duration, money } from "./words.js";

/** The run, and the agent as it was in it, where one may see that. */
async function load(thread, runId) {
  const run = await api.get(`${thread.path}/runs/${runId}`);
  const agent = await agentOf(run).catch(() => null);
  return { run, agent };
}

async function agentOf(run) {
  const agent = await api.get(`/agents/${run.agent_id}`);
  if (agent.version === run.agent_version) return agent;
  for await (const version of api.all(`/agents/${run.agent_id}/versions`)) {
    if (version.version === run.agent_version) return version;
  }
  return agent;
}

function rows({ run, agent }, known) {
  const { usage } = run;
  const model = [run.overrides?.provider ?? agent?.provider, run.overrides?.model ?? agent?.model].filter(Boolean).join(" · ");
  return [
    ["Agent", agent && `${agent.name}, version ${run.agent_version}`],
    ["Model", agent && (model || "the service's default")],
    ["Tokens in", usage && `${count(usage.input_tokens)}${usage.cached_input_tokens ? `, of which ${count(usage.cached_input_tokens)} from a cache` : ""}`],
    ["Tokens out", usage && `${count(usage.output_tokens)}${usage.reasoning_tokens ? `, of which ${count(usage.reasoning_tokens)} for reasoning` : ""}`],
    ["Counted", usage?.estimated && "estimated here, since the provider does not say"],
    ["Cost", usage && money(run.cost)],
    ["Time", run.started_at && run.finished_at && duration(run.started_at, run.finished_at)],
    ["Begun", run.started_at && fullTime(run.started_at)],
    ["Attempts", run.attempt > 1 && String(run.attempt)],
    ["Ended", [run.status, run.stop_reason].filter(Boolean).join(", ")],
    ["Asked by", run.user_id],
    ["Notes", [...(known?.guardrails ?? []).map(guardrailWords), ...run.notices.map(noticeWords)].join(" ")],
    ["Provider said", run.upstream && `${run.upstream.status ?? ""} ${run.upstream.message}`.trim()],
  ].filter(([, value]) => value);
}

function Facts({ runId, thread }) {
  const { data, problem, loading } = useLoad(() => load(thread, runId), [runId]);
  if (problem) return html`<${Notice} problem=${problem} />`;
  if (loading || !data) return html`<${Spinner} />`;
  return html`<dl class="facts">
    ${rows(data, thread.conversation.runs[runId]).map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd dir="auto">${value}</dd></div>`)}
    <div><dt>Run</dt><dd class="row"><code>${runId}</code><${CopyButton} text=${runId} label="Copy the id of the run" /></dd></div>
  </dl>`;
}

export default function RunDetails({ runId, thread, onClose }) {
  return html`<${Dialog} title="Details of the answer" onClose=${onClose}><${Facts} runId=${runId} thread=${thread} /><//>`;
}
