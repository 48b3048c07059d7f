// One's own API keys.
import { html, useState } from "../../vendor/preact.js";
import { api, toProblem } from "../api.js";
import { getCredential, setCredential } from "../credential.js";
import { session } from "../session.js";
import { Button } from "../ui/button.js";
import { confirm, Dialog } from "../ui/dialog.js";
import { errorOf, Field, Select, TextInput } from "../ui/fields.js";
import { useLoad } from "../ui/loading.js";
import { Menu } from "../ui/menu.js";
import { Badge, Notice, Spinner } from "../ui/states.js";
import { fullTime, RelativeTime } from "../ui/time.js";
import { toast } from "../ui/toast.js";
import { SecretOnce } from "./secret_once.js";

const GRACES = [
  { value: "0", label: "At once" },
  { value: "3600", label: "In an hour" },
  { value: "86400", label: "In a day" },
  { value: "604800", label: "In a week" },
];

/** Whether the page is signed in with this key. */
const isHere = (key) => session.credential()?.startsWith(key.prefix) ?? false;

async function loadKeys() {
  const keys = [];
  for await (const key of api.all("/keys")) if (key.user_id === session.me.user_id) keys.push(key);
  return keys;
}

export function Keys() {
  const { data, problem, reload } = useLoad(loadKeys);
  const [open, setOpen] = useState(null);
  const [failure, setFailure] = useState(null);
  const remove = async (key) => {
    const text = `Programs that use it are refused at once, and keys and tokens that it made end with it.${isHere(key) ? " You are signed in with it here, so this signs you out." : ""}`;
    if (!(await confirm({ title: `Delete the key ${key.name || key.prefix}?`, text, action: "Delete", danger: true }))) return;
    try {
      await api.delete(`/keys/${key.id}`);
      toast("The key is deleted.");
      reload();
    } catch (error) {
      setFailure(toProblem(error));
    }
  };
  const close = () => setOpen(null);
  return html`
    <section class="form-section" aria-labelledby="title-keys">
      <header class="form-section-head">
        <h2 id="title-keys">API keys</h2>
        <p class="section-help">For your programs and servers. A key may do what you may; it does not belong into a page or an app.</p>
      </header>
      ${(problem ?? failure) && html`<${Notice} problem=${problem ?? failure} />`}
      ${!data && !problem && html`<${Spinner} />`}
      ${data?.length === 0 && html`<p class="section-empty">You have no keys in the database.</p>`}
      <ul class="plain-list" role="list">
        ${(data ?? []).map((key) => html`
          <li key=${key.id} class="plain-row">
            <div class="grow">
              <strong dir="auto">${key.name || "Without a name"}</strong> <code class="muted">${key.prefix}…</code>
              ${" "}${isHere(key) && html`<${Badge} kind="accent">Signed in with it<//>`} ${key.admin && html`<${Badge}>Admin<//>`}
              <p class="section-help">Made <${RelativeTime} at=${key.created_at} />. ${key.expires_at ? `Ends ${fullTime(key.expires_at)}.` : "Does not end by itself."}</p>
            </div>
            <${Menu} label=${`More for the key ${key.name || key.prefix}`} items=${[
              { label: "New secret", icon: "rotate-ccw", onSelect: () => setOpen({ kind: "rotate", key }) },
              { label: "Delete", icon: "trash", danger: true, onSelect: () => remove(key) },
            ]} />
          </li>`)}
      </ul>
      <div><${Button} icon="plus" onClick=${() => setOpen({ kind: "new" })}>New key<//></div>
      ${open?.kind === "new" && html`<${NewKey} onClose=${close} onMade=${(key) => {
        setOpen({ kind: "secret", secret: key.key, title: "Your new key" });
        reload();
      }} />`}
      ${open?.kind === "rotate" && html`<${Rotate} apiKey=${open.key} onClose=${close} onMade=${(key) => setOpen({ kind: "secret", secret: key.key, title: "The key's new secret" })} />`}
      ${open?.kind === "secret" && html`<${SecretOnce} title=${open.title} secret=${open.secret} onClose=${close} />`}
    </section>`;
}

function NewKey({ onClose, onMade }) {
  const [name, setName] = useState("");
  const [day, setDay] = useState("");
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const make = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      const ends = day && new Date(`${day}T23:59:59`).toISOString();
      onMade(await api.post("/keys", { name: name.trim(), ...(ends ? { expires_at: ends } : {}) }));
    } catch (error) {
      setProblem(toProblem(error));
      setBusy(false);
    }
  };
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

function Rotate({ apiKey, onClose, onMade }) {
  const [grace, setGrace] = useState("0");
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const rotate = async (event) => {
    event.preventDefault();
    setBusy(true);
    const here = isHere(apiKey);
    try {
      const made = await api.post(`/keys/${apiKey.id}/rotate`, { grace_s: Number(grace) });
      // The page goes on with the new secret: the one it has ends.
      if (here) setCredential({ ...getCredential(), value: made.key });
      onMade(made);
    } catch (error) {
      setProblem(toProblem(error));
      setBusy(false);
    }
  };
  return html`
    <${Dialog} title=${`New secret for ${apiKey.name || apiKey.prefix}`} onClose=${onClose}>
      <form class="stack" onSubmit=${rotate}>
        ${problem && html`<${Notice} problem=${problem} />`}
        <${Field} label="The old secret ends" help="Until then both are good, so that programs can be changed without a pause."><${Select} options=${GRACES} value=${grace} onChange=${setGrace} /><//>
        <div class="row row-end"><${Button} kind="primary" type="submit" busy=${busy}>Make a new secret<//></div>
      </form>
    <//>`;
}
