// The same thread for another model or with another memory, beside what it is now.
import { html, useState } from "../../vendor/preact.js";
import { api } from "../api.js";
import { MEMORY_FIELDS } from "../agents/draft.js";
import { Button } from "../ui/button.js";
import { Field, Select, TextInput } from "../ui/fields.js";
import { useLoad } from "../ui/loading.js";
import { Strip, TokenBar } from "./drawings.js";
import { piecesOf, timelineOf } from "./timeline.js";
import { count, share, STRATEGY_NAMES, strategyName } from "./words.js";

const PARAMETERS = { n: "Messages", first: "First", last: "Last", recent: "Recent", max_tokens: "Tokens", step: "Step" };

/** The query for a choice, null where it is the agent's own. */
export function queryOf({ provider, model, strategy, fields }) {
  const query = {};
  if (provider) query.provider = provider;
  if (model.trim()) query.model = model.trim();
  if (strategy) {
    const given = Object.entries(fields).filter(([name, text]) => name in MEMORY_FIELDS[strategy] && text.trim() !== "");
    query.strategy = given.length ? JSON.stringify({ strategy, ...Object.fromEntries(given.map(([name, text]) => [name, Number(text)])) }) : strategy;
  }
  return Object.keys(query).length ? query : null;
}

export function CompareForm({ context, other, onCompare }) {
  const [choice, setChoice] = useState({ provider: other?.provider ?? "", model: other?.model ?? "", strategy: other?.strategy in MEMORY_FIELDS ? other.strategy : "", fields: {} });
  const providers = useLoad(() => api.get("/providers"), []);
  const change = (more) => setChoice({ ...choice, ...more });
  const query = queryOf(choice);
  return html`
    <form class="compare-form" onSubmit=${(event) => { event.preventDefault(); if (query) onCompare(query); }}>
      <${Field} label="Memory">
        <${Select} value=${choice.strategy} onChange=${(strategy) => change({ strategy, fields: {} })}
          options=${[{ value: "", label: `As it is: ${strategyName(context.strategy)}` }, ...Object.entries(STRATEGY_NAMES).map(([value, label]) => ({ value, label }))]} />
      <//>
      ${choice.strategy && Object.entries(MEMORY_FIELDS[choice.strategy]).map(([name, value]) => html`
        <${Field} key=${`${choice.strategy}-${name}`} label=${PARAMETERS[name]}>
          <${TextInput} type="number" min="0" placeholder=${String(value)} value=${choice.fields[name]} onInput=${(text) => change({ fields: { ...choice.fields, [name]: text } })} />
        <//>`)}
      <${Field} label="Provider">
        <${Select} value=${choice.provider} onChange=${(provider) => change({ provider })}
          options=${[{ value: "", label: `As it is: ${context.provider}` }, ...(providers.data?.data ?? []).map(({ name }) => name)]} />
      <//>
      <${Field} label="Model">
        <${TextInput} spellcheck=${false} autocomplete="off" maxlength="200" placeholder=${`As it is: ${context.model}`} value=${choice.model} onInput=${(model) => change({ model })} />
      <//>
      <${Button} type="submit" disabled=${!query}>Compare<//>
    </form>`;
}

export function Comparison({ own, other, onEnd }) {
  const rows = [
    ["Model", (each) => `${each.provider}, ${each.model}`],
    ["Memory", (each) => strategyName(each.strategy)],
    ["Tokens", (each) => `${count(each.tokens.total)}, ${share(each.tokens.total / each.tokens.budget)} of what fits`],
    ["Messages sent", (each) => count(each.messages.filter(({ seq }) => seq !== null).length)],
    ["Left out", (each) => count(each.left_out.length)],
    ["Summary", (each) => (each.summary ? "Sent" : "None")],
  ];
  return html`
    <div class="comparison">
      <${Strip} timeline=${timelineOf(own)} label="As it is" />
      <${Strip} timeline=${timelineOf(other)} label="Compared" />
      <div class="table-box">
        <table class="table">
          <thead><tr><td></td><th scope="col">As it is</th><th scope="col">Compared</th></tr></thead>
          <tbody>${rows.map(([name, show]) => html`<tr key=${name}><th scope="row">${name}</th><td dir="auto">${show(own)}</td><td dir="auto"><${Changed} before=${show(own)} after=${show(other)} /></td></tr>`)}</tbody>
        </table>
      </div>
      <${TokenBar} pieces=${piecesOf(other)} />
      <div class="row"><${Button} size="small" kind="quiet" onClick=${onEnd}>End the comparison<//></div>
    </div>`;
}

const Changed = ({ before, after }) => (before === after ? after : html`<strong>${after}</strong>`);
