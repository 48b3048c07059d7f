// One's own API keys.
import { html, useState } from "../../vendor/preact.js";
import { DeleteKey, RotateKey } from "../admin/key_dialogs.js";
import { isHere } from "../admin/own_key.js";
import { Secret, useKept } from "../admin/secret.js";
import { api, toProblem } from "../api.js";
import { session } from "../session.js";
import { Button } from "../ui/button.js";
import { Dialog } from "../ui/dialog.js";
import { errorOf, Field, TextInput } from "../ui/fields.js";
import { useLoad } from "../ui/loading.js";
import { Menu } from "../ui/menu.js";
import { Badge, Notice, Spinner } from "../ui/states.js";
import { fullTime, RelativeTime } from "../ui/time.js";

async function loadKeys() {
  const keys = [];
  for await (const key of api.all("/keys")) if (key.user_id === session.me.user_id) keys.push(key);
  return keys;
}

export function Keys() {
  const { data, problem, reload } = useLoad(loadKeys);
  const [open, setOpen] = useState(null);
  const close = () => setOpen(null);
  return html`
    <section class="form-section" aria-labelledby="title-keys">
      <header class="form-section-head">
        <h2 id="title-keys">API keys</h2>
        <p class="section-help">For your programs and servers. A key may do what you may; it does not belong into a page or an app.</p>
      </header>
      ${problem && html`<${Notice} problem=${problem} />`}
      ${!data && !problem && html`<${Spinner} />`}
      ${data?.length === 0 && html`<p class="section-empty">You have no keys in the database.</p>`}
      <ul class="setting-list" role="list">
        ${(data ?? []).map((key) => html`
          <li key=${key.id} class="setting-row">
            <div class="grow">
              <strong dir="auto">${key.name || "Without a name"}</strong> <code class="muted">${key.prefix}…</code>
              ${" "}${isHere(key) && html`<${Badge} kind="accent">Signed in with it<//>`} ${key.admin && html`<${Badge}>Admin<//>`}
              <p class="section-help">Made <${RelativeTime} at=${key.created_at} />. ${key.expires_at ? `Ends ${fullTime(key.expires_at)}.` : "Does not end by itself."}</p>
            </div>
            <${Menu} label=${`More for the key ${key.name || key.prefix}`} items=${[
              { label: "New secret", icon: "rotate-ccw", onSelect: () => setOpen({ kind: "rotate", key }) },
              { label: "Delete", icon: "trash", danger: true, onSelect: () => setOpen({ kind: "delete", key }) },
            ]} />
          </li>`)}
      </ul>
      <div><${Button} icon="plus" onClick=${() => setOpen({ kind: "new" })}>New key<//></div>
      ${open?.kind === "new" && html`<${NewKey} onClose=${close} onMade=${reload} />`}
      ${open?.kind === "rotate" && html`<${RotateKey} item=${open.key} onClose=${close} />`}
      ${open?.kind === "delete" && html`<${DeleteKey} item=${open.key} onClose=${close} onChanged=${reload} />`}
    </section>`;
}

function NewKey({ onClose, onMade }) {
  const [name, setName] = useState("");
  const [day, setDay] = useState("");
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const [made, setMade] = useState(null);
  const onLeave = useKept("key", onClose);
  const make = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      const ends = day && new Date(`${day}T23:59:59`).toISOString();
      setMade(await api.post("/keys", { name: name.trim(), ...(ends ? { expires_at: ends } : {}) }));
      onMade();
    } catch (error) {
      setProblem(toProblem(error));
      setBusy(false);
    }
  };
  if (made) {
    return html`<${Dialog} title="The new key" onClose=${onLeave}><${Secret} label="Key" secret=${made.key} text="Put it to where it is used." onDone=${onClose} /><//>`;
  }
  return html`
    <${Dialog} title="New key" onClose=${onClose}>
      <form class="stack" onSubmit=${make}>
        ${problem && html`<${Notice} problem=${problem} errors=${[]} />`}
        <${Field} label="Name" optional help="What it is for, to tell keys apart." error=${errorOf(problem, "name")}><${TextInput} value=${name} onInput=${setName} maxlength="200" autocomplete="off" autofocus /><//>
        <${Field} label="Last day" optional help="Empty: until it is deleted. It ends with the key that you are signed in with, at the latest." error=${errorOf(problem, "expires_at")}><${TextInput} type="date" value=${day} onInput=${setDay} /><//>
        <div class="row row-end"><${Button} kind="primary" type="submit" busy=${busy}>Make the key<//></div>
      </form>
    <//>`;
}
