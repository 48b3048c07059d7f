// The filters that `GET /audit` has. They stand in the address, so that what was found can be shown to others.

import { html, useState } from "../../vendor/preact.js";
import { Button } from "../ui/button.js";
import { ACTIONS, RESOURCES } from "./audit_words.js";
import { SelectField, TextField } from "./form.js";

const NAMES = ["actor", "action", "resource_type", "resource_id", "since", "until"];

const isDay = (text) => /^\d{4}-\d\d-\d\d$/.test(text ?? "") && !Number.isNaN(Date.parse(text));

/** The API's query from the address's. A day begins and ends where the reader is. */
export function queryOf(query) {
  const { actor, action, resource_type, resource_id, since, until } = query;
  return {
    actor,
    action,
    resource_type,
    resource_id: resource_type ? resource_id : undefined,
    since: isDay(since) ? new Date(`${since}T00:00:00`).toISOString() : undefined,
    until: isDay(until) ? new Date(`${until}T23:59:59.999`).toISOString() : undefined,
  };
}

const draftOf = (query) => Object.fromEntries(NAMES.map((name) => [name, query[name] ?? ""]));

export function AuditFilters({ query, onChange }) {
  const [draft, setDraft] = useState(() => draftOf(query));
  const set = (name) => (value) => setDraft({ ...draft, [name]: value });
  const count = NAMES.filter((name) => query[name]).length;
  const submit = (event) => {
    event.preventDefault();
    onChange(Object.fromEntries(Object.entries(draft).map(([name, value]) => [name, value.trim()])));
  };
  return html`<details class="fold filters" open=${count > 0}>
    <summary>Filters${count > 0 ? ` (${count})` : ""}</summary>
    <form class="form-grid" onSubmit=${submit}>
      <${TextField} label="Who" help="A user's id, or a pseudonym." value=${draft.actor} maxLength=${255} onInput=${set("actor")} />
      <${SelectField} label="Action" help="What was done." value=${draft.action} options=${[{ value: "", label: "Any" }, ...ACTIONS]} onChange=${set("action")} />
      <${SelectField} label="Kind of resource" value=${draft.resource_type} options=${[{ value: "", label: "Any" }, ...RESOURCES]} onChange=${set("resource_type")} />
      <${TextField} label="Id of the resource" value=${draft.resource_id} maxLength=${255} disabled=${draft.resource_type === ""} onInput=${set("resource_id")} />
      <${TextField} label="From" type="date" value=${draft.since} onInput=${set("since")} />
      <${TextField} label="To, included" type="date" value=${draft.until} onInput=${set("until")} />
      <div class="row form-whole"><${Button} type="submit" kind="primary">Filter<//>
        ${count > 0 && html`<${Button} kind="quiet" onClick=${() => onChange({})}>Clear<//>`}</div>
    </form>
  </details>`;
}
