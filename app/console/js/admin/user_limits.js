// The limits of one user: those of the settings, none, or their own.

import { html, useState } from "../../vendor/preact.js";
import { api } from "../api.js";
import { Button } from "../ui/button.js";
import { Dialog } from "../ui/dialog.js";
import { Select, TextInput } from "../ui/fields.js";
import { useLoad } from "../ui/loading.js";
import { Notice, Spinner } from "../ui/states.js";
import { toast } from "../ui/toast.js";
import { LIMITS } from "../usage/limits.js";
import { Failure, useRequest } from "./request.js";

const pathOf = (userId) => `/users/${encodeURIComponent(userId)}/limits`;

/** What the form begins with: `{name: {mode: "default" | "none" | "own", text}}`. */
export function draftOf(limits) {
  return Object.fromEntries(
    LIMITS.map(({ name }) => {
      if (!limits.own.includes(name)) return [name, { mode: "default", text: "" }];
      return [name, limits[name] === null ? { mode: "none", text: "" } : { mode: "own", text: String(limits[name]) }];
    }),
  );
}

/** The body of the request, and what is wrong with numbers, by name. */
export function bodyOf(draft) {
  const body = {};
  const errors = {};
  for (const { name } of LIMITS) {
    const { mode, text } = draft[name];
    if (mode === "none") body[name] = null;
    if (mode !== "own") continue;
    const value = Number(text);
    if (text.trim() === "" || !Number.isFinite(value) || value < 0) errors[name] = "Give a number, 0 or more.";
    else if (name !== "cost_per_day" && !Number.isInteger(value)) errors[name] = "Give a whole number.";
    else if (name === "requests_per_minute" && value < 1) errors[name] = "Give 1 or more.";
    else body[name] = value;
  }
  return { body, errors };
}

export function UserLimits({ userId, onClose }) {
  const { data, problem, loading, reload } = useLoad(() => api.get(pathOf(userId)), [userId]);
  return html`<${Dialog} title=${html`Limits of <span dir="auto">${userId}</span>`} onClose=${onClose} wide=${true}>
    ${loading && html`<${Spinner} label="Loading the limits" />`}
    ${problem && html`<${Notice} problem=${problem} action=${{ label: "Try again", onClick: reload }} />`}
    ${data && html`<${LimitsForm} userId=${userId} limits=${data} onClose=${onClose} />`}
  <//>`;
}

function LimitsForm({ userId, limits, onClose }) {
  const [draft, setDraft] = useState(() => draftOf(limits));
  const [errors, setErrors] = useState({});
  const request = useRequest();
  const set = (name, change) => setDraft({ ...draft, [name]: { ...draft[name], ...change } });

  const submit = (event) => {
    event.preventDefault();
    const found = bodyOf(draft);
    setErrors(found.errors);
    if (Object.keys(found.errors).length > 0) return;
    request.run(async () => {
      await api.put(pathOf(userId), found.body);
      toast(`The limits of ${userId} are set.`);
      onClose();
    });
  };

  return html`<form class="limits-form" onSubmit=${submit} noValidate>
    <p class="small muted">They hold within two seconds, for an admin too. What the user has beyond a new limit stays; nothing more can be made.</p>
    ${LIMITS.map(({ name, label, help, of }) => {
      const { mode, text } = draft[name];
      const isDefault = !limits.own.includes(name);
      const usual = isDefault ? (limits[name] === null ? "Default (no limit)" : `Default (${of(limits[name])})`) : "Default";
      return html`<fieldset key=${name} class="limit-field">
        <legend class="field-label">${label}</legend>
        <div class="limit-controls">
          <${Select} aria-label=${`${label}: which limit`} value=${mode} onChange=${(value) => set(name, { mode: value })}
            options=${[{ value: "default", label: usual }, { value: "none", label: "No limit" }, { value: "own", label: "Own limit" }]} />
          ${mode === "own" && html`<${TextInput} aria-label=${`${label}: number`} aria-invalid=${errors[name] ? "true" : undefined} aria-describedby=${`limit-${name}`}
            value=${text} inputMode="decimal" placeholder=${name === "files_bytes" ? "Bytes" : ""} onInput=${(value) => set(name, { text: value })} />`}
        </div>
        ${errors[name] && html`<p class="field-error" id=${`limit-${name}`} role="alert">${errors[name]}</p>`}
        <p class="field-help">${help}${name === "files_bytes" && mode === "own" && Number(text) > 0 ? ` ${of(Number(text))}.` : ""}</p>
      </fieldset>`;
    })}
    <${Failure} request=${request} />
    <div class="row row-end"><${Button} onClick=${onClose}>Cancel<//><${Button} type="submit" kind="primary" busy=${request.busy}>Set limits<//></div>
  </form>`;
}
