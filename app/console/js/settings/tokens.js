// Tokens: short-lived, for browsers and phones.
import { html, useState } from "../../vendor/preact.js";
import { Secret, useKept } from "../admin/secret.js";
import { api, toProblem } from "../api.js";
import { session } from "../session.js";
import { Button } from "../ui/button.js";
import { confirm, Dialog } from "../ui/dialog.js";
import { Checkbox, Field, Select } from "../ui/fields.js";
import { useLoad } from "../ui/loading.js";
import { Notice } from "../ui/states.js";
import { fullTime } from "../ui/time.js";
import { toast } from "../ui/toast.js";

const TIMES = [
  { value: "600", label: "10 minutes" },
  { value: "3600", label: "1 hour" },
  { value: "28800", label: "8 hours" },
  { value: "86400", label: "1 day" },
];
// A token names so many at most.
const MOST_AGENTS = 100;

export function Tokens() {
  const [open, setOpen] = useState(false);
  const [made, setMade] = useState(null);
  const [failure, setFailure] = useState(null);
  const removeAll = async () => {
    const text = "Pages and apps that use them are refused at once, and their streams end.";
    if (!(await confirm({ title: "End all of your tokens?", text, action: "End them", danger: true }))) return;
    try {
      await api.delete("/tokens", { user_id: session.me.user_id });
      toast("Your tokens have ended.");
    } catch (error) {
      setFailure(toProblem(error));
    }
  };
  return html`
    <section class="form-section" aria-labelledby="title-tokens">
      <header class="form-section-head">
        <h2 id="title-tokens">Tokens</h2>
        <p class="section-help">For a page, a phone, or this page on another machine. A token ends by itself, makes no keys, and can be for some agents alone.</p>
      </header>
      ${failure && html`<${Notice} problem=${failure} />`}
      <div class="row">
        <${Button} icon="plus" onClick=${() => setOpen(true)}>New token<//>
        <${Button} kind="quiet" onClick=${removeAll}>End all of your tokens<//>
      </div>
      ${open && html`<${NewToken} onClose=${() => setOpen(false)} onMade=${(token) => {
        setOpen(false);
        setMade(token);
      }} />`}
      ${made && html`<${MadeToken} made=${made} onClose=${() => setMade(null)} />`}
    </section>`;
}

function MadeToken({ made, onClose }) {
  return html`
    <${Dialog} title="The new token" onClose=${useKept("token", onClose)}>
      <${Secret} label="Token" secret=${made.token} text=${`It ends ${fullTime(made.expires_at)}.`} onDone=${onClose} />
    <//>`;
}

function NewToken({ onClose, onMade }) {
  const [seconds, setSeconds] = useState("3600");
  const [chosen, setChosen] = useState([]);
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const agents = useLoad(() => api.get("/agents", { limit: MOST_AGENTS }));
  const make = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      onMade(await api.post("/tokens", { expires_in_s: Number(seconds), ...(chosen.length ? { agents: chosen } : {}) }));
    } catch (error) {
      setProblem(toProblem(error));
      setBusy(false);
    }
  };
  return html`
    <${Dialog} title="New token" onClose=${onClose}>
      <form class="stack" onSubmit=${make}>
        ${problem && html`<${Notice} problem=${problem} />`}
        <${Field} label="It is good for"><${Select} options=${TIMES} value=${seconds} onChange=${setSeconds} /><//>
        <fieldset class="stack stack-tight">
          <legend class="field-label">Agents</legend>
          <p class="field-help">None chosen: for all that you see. Otherwise it is for talking to these, and sees nothing else.</p>
          <div class="token-agents">
            ${(agents.data?.data ?? []).map((agent) => html`<${Checkbox} key=${agent.id} label=${html`<span dir="auto">${agent.name}</span>`} checked=${chosen.includes(agent.id)}
              onChange=${(on) => setChosen(on ? [...chosen, agent.id] : chosen.filter((id) => id !== agent.id))} />`)}
          </div>
        </fieldset>
        <div class="row row-end"><${Button} kind="primary" type="submit" busy=${busy}>Make the token<//></div>
      </form>
    <//>`;
}
