// Making a webhook, and changing one.

import { html, useState } from "../../vendor/preact.js";
import { api } from "../api.js";
import { session } from "../session.js";
import { Button } from "../ui/button.js";
import { Dialog } from "../ui/dialog.js";
import { Checkbox } from "../ui/fields.js";
import { toast } from "../ui/toast.js";
import { SelectField, TextField } from "./form.js";
import { Failure, useRequest } from "./request.js";
import { Secret, useKept } from "./secret.js";

const EVENTS = [
  { name: "run.completed", label: "An answer is there", help: "run.completed" },
  { name: "run.failed", label: "An answer failed", help: "run.failed" },
  { name: "run.cancelled", label: "An answer was stopped", help: "run.cancelled" },
  { name: "run.waiting", label: "A call waits for a person", help: "run.waiting" },
  { name: "thread.updated", label: "A chat changed", help: "thread.updated" },
];

/** `names` are those of agents by their ids. */
export function WebhookForm({ webhook, names, onClose, onSaved }) {
  const isNew = webhook === undefined;
  const [url, setUrl] = useState(webhook?.url ?? "");
  const [events, setEvents] = useState(webhook?.events ?? ["run.completed"]);
  const [agentId, setAgentId] = useState("");
  const [made, setMade] = useState(null);
  const request = useRequest();
  const onLeave = useKept("secret", onClose);
  const toggle = (name, isOn) => setEvents(EVENTS.map((event) => event.name).filter((each) => (each === name ? isOn : events.includes(each))));

  const submit = (event) => {
    event.preventDefault();
    request.run(async () => {
      if (isNew) setMade(await api.post("/webhooks", { url: url.trim(), events, agent_id: agentId || null }));
      else {
        await api.patch(`/webhooks/${webhook.id}`, { url: url.trim(), events });
        toast("The webhook is changed.");
        onClose();
      }
      onSaved();
    });
  };

  if (made) {
    return html`<${Dialog} title="The new webhook" onClose=${onLeave}>
      <${Secret} label="Secret" secret=${made.secret} text="With this secret the address tells that a message is really from here." onDone=${onClose} />
    <//>`;
  }
  const first = session.isAdmin ? { value: "", label: "All agents" } : { value: "", label: "Choose an agent", disabled: true };
  const agents = [first, ...[...names].filter(([, name]) => name !== null).map(([value, label]) => ({ value, label }))];
  return html`<${Dialog} title=${isNew ? "New webhook" : "Change the webhook"} onClose=${request.whenIdle(onClose)}>
    <form class="stack" onSubmit=${submit} noValidate>
      <${TextField} label="Address" type="url" mono=${true} help="An https address on the internet. It gets ids, and asks the API for the rest." value=${url} maxLength=${2000}
        error=${request.errors.url} autofocus=${true} onInput=${setUrl} />
      ${isNew && html`<${SelectField} label="Agent" help="Whose chats it is told of." value=${agentId} options=${agents} error=${request.errors.agent_id} onChange=${setAgentId} />`}
      <fieldset class="stack stack-tight">
        <legend class="field-label">When</legend>
        ${EVENTS.map(({ name, label, help }) => html`<${Checkbox} key=${name} label=${label} help=${help} checked=${events.includes(name)} onChange=${(isOn) => toggle(name, isOn)} />`)}
        ${request.errors.events && html`<p class="field-error" role="alert">${request.errors.events}</p>`}
      </fieldset>
      <${Failure} request=${request} shown=${["url", "agent_id", "events"]} />
      <div class="row row-end"><${Button} onClick=${request.whenIdle(onClose)}>Cancel<//>
        <${Button} type="submit" kind="primary" busy=${request.busy} disabled=${url.trim() === "" || events.length === 0}>${isNew ? "Make it" : "Save"}<//></div>
    </form>
  <//>`;
}
