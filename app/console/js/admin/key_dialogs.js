// Making keys, giving them new secrets, ending them and what they made.

import { html, useState } from "../../vendor/preact.js";
import { api } from "../api.js";
import { session } from "../session.js";
import { Button } from "../ui/button.js";
import { Dialog } from "../ui/dialog.js";
import { Switch } from "../ui/fields.js";
import { toast } from "../ui/toast.js";
import { SelectField, TextField } from "./form.js";
import { goOnWith, isHere } from "./own_key.js";
import { Failure, useRequest } from "./request.js";
import { Secret, useKept } from "./secret.js";

// The fields that show their own errors.
const FIELDS = ["user_id", "name", "expires_at"];

const DAY_MS = 86_400_000;
const EXPIRIES = [
  { value: "30", label: "In 30 days" },
  { value: "90", label: "In 90 days" },
  { value: "365", label: "In a year" },
  { value: "own", label: "On a day of your choice" },
  { value: "never", label: "Never" },
];
const GRACES = [
  { value: "0", label: "At once" },
  { value: "3600", label: "In an hour" },
  { value: "86400", label: "In a day" },
  { value: "604800", label: "In a week" },
];

/** How a key is called in a sentence. */
export const nameOf = (item) => `${item.name || item.prefix} of ${item.user_id}`;

/** When a key ends, as the API takes it. A day of one's choice ends with that day, where the reader is. */
export function expiryOf(choice, day) {
  if (choice === "never") return null;
  if (choice === "own") return new Date(`${day}T23:59:59`).toISOString();
  return new Date(Date.now() + Number(choice) * DAY_MS).toISOString();
}

export function CreateKey({ onClose, onChanged }) {
  const [userId, setUserId] = useState("");
  const [name, setName] = useState("");
  const [expiry, setExpiry] = useState("90");
  const [day, setDay] = useState("");
  const [isAdmin, setAdmin] = useState(false);
  const [made, setMade] = useState(null);
  const request = useRequest();
  const onLeave = useKept("key", onClose);
  const owner = userId.trim() || session.me.user_id;

  const submit = (event) => {
    event.preventDefault();
    request.run(async () => {
      setMade(await api.post("/keys", { user_id: owner, name: name.trim(), expires_at: expiryOf(expiry, day), admin: isAdmin }));
      onChanged();
    });
  };

  if (made) {
    return html`<${Dialog} title="The new key" onClose=${onLeave}>
      <${Secret} label="Key" secret=${made.key} text=${html`This is the key of <strong dir="auto">${made.user_id}</strong>.`} onDone=${onClose} />
    <//>`;
  }
  return html`<${Dialog} title="New key" onClose=${request.whenIdle(onClose)}>
    <form class="stack" onSubmit=${submit}>
      <${TextField} label="User" help=${`Whose key it is: any name of your choice. Empty: yours (${session.me.user_id}).`} value=${userId} maxLength=${255}
        error=${request.errors.user_id} autofocus=${true} onInput=${setUserId} />
      <${TextField} label="Name" help="To tell keys apart, such as the program or the machine that has it." value=${name} maxLength=${200}
        error=${request.errors.name} onInput=${setName} />
      <${SelectField} label="Expires" value=${expiry} options=${EXPIRIES} onChange=${setExpiry} />
      ${expiry === "own" && html`<${TextField} type="date" label="Last day" value=${day} required=${true} error=${request.errors.expires_at} onInput=${setDay} />`}
      <${Switch} label="Admin" help="May see and change everything of everyone." checked=${isAdmin} onChange=${setAdmin} />
      ${owner === session.me.user_id && html`<p class="small muted">A key for yourself ends with the key that you signed in with.</p>`}
      <${Failure} request=${request} shown=${FIELDS} />
      <div class="row row-end"><${Button} onClick=${request.whenIdle(onClose)}>Cancel<//>
        <${Button} type="submit" kind="primary" busy=${request.busy} disabled=${expiry === "own" && day === ""}>Make the key<//></div>
    </form>
  <//>`;
}

export function RotateKey({ item, onClose }) {
  const [grace, setGrace] = useState("86400");
  const [made, setMade] = useState(null);
  const request = useRequest();
  const onLeave = useKept("secret", onClose);
  const submit = (event) => {
    event.preventDefault();
    request.run(async () => {
      const isOurs = isHere(item);
      const rotated = await api.post(`/keys/${item.id}/rotate`, { grace_s: Number(grace) });
      if (isOurs) goOnWith(rotated.key);
      setMade(rotated);
    });
  };
  if (made) {
    return html`<${Dialog} title="The new secret" onClose=${onLeave}>
      <${Secret} label="Key" secret=${made.key} text=${html`This is the new secret of <strong dir="auto">${nameOf(item)}</strong>.`} onDone=${onClose} />
    <//>`;
  }
  return html`<${Dialog} title="New secret" onClose=${request.whenIdle(onClose)}>
    <form class="stack" onSubmit=${submit}>
      <p><strong dir="auto">${nameOf(item)}</strong> gets a new secret. What the key has made stays: other keys, tokens, webhooks.</p>
      <${SelectField} label="The present secret ends" help="Time to put the new one where the key is used." value=${grace} options=${GRACES} onChange=${setGrace} />
      <${Failure} request=${request} shown=${FIELDS} />
      <div class="row row-end"><${Button} onClick=${request.whenIdle(onClose)}>Cancel<//><${Button} type="submit" kind="primary" busy=${request.busy}>Make a new secret<//></div>
    </form>
  <//>`;
}

export function DeleteKey({ item, onClose, onChanged }) {
  const request = useRequest();
  const remove = () =>
    request.run(async () => {
      await api.delete(`/keys/${item.id}`);
      toast(`${nameOf(item)} is deleted.`);
      onChanged();
      onClose();
    });
  return html`<${Dialog} title="Delete this key" onClose=${onClose}>
    <p><strong dir="auto">${nameOf(item)}</strong> stops working at once, everywhere, and so do the keys and tokens that it made for its own user. Webhooks that it made end.${isHere(item) ? " You are signed in with it here: this signs you out." : ""}</p>
    <${Failure} request=${request} shown=${FIELDS} />
    <div class="row row-end"><${Button} onClick=${onClose} autofocus=${true}>Cancel<//><${Button} kind="danger" busy=${request.busy} onClick=${remove}>Delete the key<//></div>
  <//>`;
}

/** Ends what browsers and phones of a user hold; the user's keys stay. */
export function EndTokens({ onClose }) {
  const [userId, setUserId] = useState("");
  const request = useRequest();
  const submit = (event) => {
    event.preventDefault();
    request.run(async () => {
      await api.delete("/tokens", { user_id: userId });
      toast(`All tokens of ${userId} have ended.`);
      onClose();
    });
  };
  return html`<${Dialog} title="End all tokens of a user" onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <p>Tokens are what browsers and phones hold. They stop working at once; the user's keys stay.</p>
      <${TextField} label="User" value=${userId} maxLength=${255} error=${request.errors.user_id} autofocus=${true} onInput=${setUserId} />
      <${Failure} request=${request} shown=${FIELDS} />
      <div class="row row-end"><${Button} onClick=${onClose}>Cancel<//><${Button} type="submit" kind="danger" busy=${request.busy} disabled=${userId === ""}>End the tokens<//></div>
    </form>
  <//>`;
}
