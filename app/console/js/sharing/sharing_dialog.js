// Who may do what with an agent, a thread, a tool or a provider.
import { html, useState } from "../../vendor/preact.js";
import { api, newKey, toProblem } from "../api.js";
import { session } from "../session.js";
import { Button, IconButton } from "../ui/button.js";
import { confirm, Dialog } from "../ui/dialog.js";
import { Field, Select, TextInput } from "../ui/fields.js";
import { useLoad } from "../ui/loading.js";
import { Notice, Spinner } from "../ui/states.js";
import { EVERYBODY, nameOf, problemWords, rolesOf, wordsOf } from "./roles.js";

/** `onLeft()` is called when the user has given up the role that they had. */
export function SharingDialog({ resourceType, resourceId, title = "", onClose, onChange, onLeft }) {
  const name = title || (resourceType === "thread" ? "this chat" : resourceId);
  return html`
    <${Dialog} title=${`Share ${name}`} onClose=${onClose}>
      <${Sharing} resourceType=${resourceType} resourceId=${resourceId} onChange=${onChange} onLeft=${() => {
        onClose();
        onLeft?.();
      }} />
    <//>`;
}

/** The list of who has which role, for who may give them; for others their own role. `onLeft()`: the user gave up theirs. */
export function Sharing({ resourceType, resourceId, onChange, onLeft }) {
  const { data, problem, loading, reload } = useLoad(() => loadRoles(resourceType, resourceId), [resourceType, resourceId]);
  const [failure, setFailure] = useState(null);
  const act = async (work) => {
    setFailure(null);
    try {
      await work();
      onChange?.();
      await reload();
      return true;
    } catch (error) {
      setFailure(toProblem(error));
      return false;
    }
  };
  if (problem) return html`<${Notice} problem=${problem} />`;
  if (!data) return loading ? html`<${Spinner} />` : null;
  const remove = async (role) => {
    const own = role.user_id === session.me?.user_id;
    const question = own
      ? { title: "Give up your role?", text: "You may lose sight of it, and only its owners can give the role back.", action: "Give it up", danger: true }
      : { title: `Take the role from ${nameOf(role.user_id)}?`, text: "It counts at once, for what is open now too.", action: "Take it", danger: true };
    if (!(await confirm(question))) return;
    if ((await act(() => api.delete(`/roles/${role.id}`))) && own && !session.isAdmin) onLeft?.();
  };
  const change = (role, next) => act(() => giveRole({ user_id: role.user_id, role: next, resource_type: resourceType, resource_id: resourceId }));
  return html`
    <div class="sharing stack">
      ${failure && html`<${Notice} kind="danger" title=${problemWords(failure).title}>${problemWords(failure).text}<//>`}
      ${!data.mayGive && html`<${OwnRole} roles=${data.roles} type=${resourceType} />`}
      <ul class="sharing-list" role="list" aria-label="Who has a role">
        ${data.roles.map((role) => html`<${RoleRow} key=${role.id} role=${role} type=${resourceType} mayGive=${data.mayGive}
          onChange=${(next) => change(role, next)} onRemove=${() => remove(role)} />`)}
      </ul>
      ${data.mayGive && html`<${AddRole} type=${resourceType} taken=${data.roles} onAdd=${(userId, role) => act(() => giveRole({ user_id: userId, role, resource_type: resourceType, resource_id: resourceId }))} />`}
    </div>`;
}

const giveRole = (body) => api.post("/roles", body, { key: newKey() });

/** All roles on a thing for its owners, or one's own on it. */
async function loadRoles(resourceType, resourceId) {
  const roles = [];
  try {
    for await (const role of api.all("/roles", { resource_type: resourceType, resource_id: resourceId })) roles.push(role);
    return { mayGive: true, roles };
  } catch (error) {
    if (error.status !== 403) throw error;
  }
  for await (const role of api.all("/roles")) {
    if (role.resource_type === resourceType && role.resource_id === resourceId) roles.push(role);
  }
  return { mayGive: false, roles };
}

function OwnRole({ roles, type }) {
  if (!roles.length) return html`<${Notice}>It is shared with everybody; you have no role of your own on it. Its owners say who has which.<//>`;
  return html`<p class="section-help">This is your role. Only owners see who else has one${type === "agent" ? " and may share the agent" : ""}.</p>`;
}

function RoleRow({ role, type, mayGive, onChange, onRemove }) {
  const own = role.user_id === session.me?.user_id;
  const choices = rolesOf(type, role.user_id);
  return html`
    <li class="sharing-row">
      <span class="sharing-name" dir="auto">${nameOf(role.user_id)}${own ? html` <span class="sharing-you">you</span>` : ""}</span>
      ${mayGive && choices.length > 1
        ? html`<${Select} class="sharing-role" aria-label=${`Role of ${nameOf(role.user_id)}`} value=${role.role} options=${choices.map((value) => ({ value, label: wordsOf(type, value).name }))} onChange=${onChange} />`
        : html`<span class="sharing-role">${wordsOf(type, role.role).name}</span>`}
      ${(mayGive || own) && html`<${IconButton} icon="x" size="small" label=${own ? "Give up your role" : `Take the role from ${nameOf(role.user_id)}`} onClick=${onRemove} />`}
    </li>`;
}

function AddRole({ type, taken, onAdd }) {
  const [userId, setUserId] = useState("");
  const first = type === "agent" || type === "tool" || type === "provider" ? "user" : "viewer";
  const [role, setRole] = useState(first);
  const [busy, setBusy] = useState(false);
  const everybody = !taken.some(({ user_id: id }) => id === EVERYBODY);
  const add = async (id) => {
    if (!id.trim() || busy) return;
    setBusy(true);
    if (await onAdd(id.trim(), id === EVERYBODY && role === "owner" ? first : role)) setUserId("");
    setBusy(false);
  };
  const choices = rolesOf(type, userId);
  return html`
    <form class="sharing-add stack" onSubmit=${(event) => {
      event.preventDefault();
      add(userId);
    }}>
      <${Field} label="Share with" help="The id of a user, as it stands in their settings.">
        <${TextInput} value=${userId} onInput=${setUserId} autocomplete="off" spellcheck=${false} maxlength="255" autofocus />
      <//>
      ${choices.length > 1 && html`
        <${Field} label="As" help=${wordsOf(type, role).help}>
          <${Select} value=${role} onChange=${setRole} options=${choices.map((value) => ({ value, label: wordsOf(type, value).name }))} />
        <//>`}
      <div class="row row-between">
        ${everybody ? html`<${Button} kind="quiet" icon="users" disabled=${busy || role === "owner"} onClick=${() => add(EVERYBODY)}>Share with everybody<//>` : html`<span></span>`}
        <${Button} kind="primary" type="submit" busy=${busy} disabled=${!userId.trim()}>Share<//>
      </div>
    </form>`;
}
