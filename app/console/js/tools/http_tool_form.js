// A tool that makes an HTTP request: a new one, or a change of one.
import { html, useState } from "../../vendor/preact.js";
import { api, newKey, toProblem } from "../api.js";
import { parseJson } from "../agents/draft.js";
import { checkSchema } from "../agents/json_field.js";
import { HeadersEditor, headersOf, NO_HEADERS } from "../settings/headers_editor.js";
import { Button } from "../ui/button.js";
import { Dialog } from "../ui/dialog.js";
import { Checkbox, errorOf, Field, otherErrors, Select, TextArea, TextInput } from "../ui/fields.js";
import { Notice } from "../ui/states.js";

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"];
const KEPT = { value: "", label: "As it is" };
const SAFE = [
  { value: "", label: "As the method says: a GET is, others are not" },
  { value: "yes", label: "Yes" },
  { value: "no", label: "No" },
];
const SHOWN = ["name", "description", "method", "url", "parameters", "headers", "retry_safe", "credentials"];

const hostOf = (url) => /^[^/]*\/\/[^/]*/.exec(url)?.[0].toLowerCase();

/** A schema with a required text for each `{name}` of an address. */
export function schemaFor(url) {
  const names = [...new Set([...url.matchAll(/\{([A-Za-z0-9_]+)\}/g)].map(([, name]) => name))];
  return { type: "object", properties: Object.fromEntries(names.map((name) => [name, { type: "string", description: "" }])), ...(names.length ? { required: names } : {}) };
}

const EMPTY = { name: "", description: "", method: "GET", url: "", parameters: "", safe: "", own: false };

const fieldsOf = ({ name, description, method, url, parameters, credentials }) => ({
  ...EMPTY, name, description, method, url, parameters: JSON.stringify(parameters, null, 2), own: credentials === "user",
});

/** A form for a new tool, or for a change of the tool `known`. `onDone(name)`: it is saved. */
export function HttpToolForm({ known = null, onClose, onDone }) {
  const [tool, setTool] = useState(known ? fieldsOf(known) : EMPTY);
  const [rows, setRows] = useState(NO_HEADERS);
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const set = (field) => (value) => setTool({ ...tool, [field]: value });
  const { value, error } = tool.parameters.trim() ? parseJson(tool.parameters) : { value: schemaFor(tool.url), error: null };
  const mistake = error?.message ?? checkSchema(value);
  const make = async (event) => {
    event.preventDefault();
    if (mistake) return;
    setBusy(true);
    const { name, description, method, url } = tool;
    const safe = { "": null, yes: true, no: false }[tool.safe];
    const body = { description, method, url, parameters: value, credentials: tool.own ? "user" : null };
    const headers = headersOf(rows);
    // What is not shown stays as it is, unless something is said of it.
    if (!known || Object.keys(headers).length) body.headers = headers;
    if (!known || tool.safe) body.retry_safe = safe;
    try {
      if (known) await api.patch(`/tools/${name}`, body, { etag: `"${known.version}"` });
      else await api.post("/tools", { type: "http", name, ...body }, { key: newKey() });
      onDone(name);
    } catch (failure) {
      setProblem(toProblem(failure));
      setBusy(false);
    }
  };
  const wrong = (field) => errorOf(problem, "http", field) || errorOf(problem, field);
  const others = otherErrors(problem, [...SHOWN, "http"]);
  return html`
    <${Dialog} title=${known ? `Change ${known.name}` : "New HTTP tool"} wide onClose=${onClose}>
      <form class="stack" onSubmit=${make}>
        ${problem && html`<${Notice} problem=${problem} errors=${others} />`}
        ${!known && html`<${Field} label="Name" help="What agents and models call it: letters, digits, _ and -." error=${wrong("name")}><${TextInput} mono value=${tool.name} onInput=${set("name")} required maxlength="64" autocomplete="off" spellcheck=${false} autofocus /><//>`}
        <${Field} label="Description" help="The model reads this to decide when to call it: what it does, and when to use it." error=${wrong("description")}><${TextArea} rows="2" value=${tool.description} onInput=${set("description")} required maxlength="8192" /><//>
        <div class="method-and-url">
          <${Field} label="Method" error=${wrong("method")}><${Select} options=${METHODS} value=${tool.method} onChange=${set("method")} /><//>
          <${Field} label="Address" error=${wrong("url")}><${TextInput} mono value=${tool.url} onInput=${set("url")} required maxlength="2000" placeholder="https://api.example.com/orders/{order}" autocomplete="off" spellcheck=${false} /><//>
        </div>
        <p class="field-help">A parameter in {curly brackets} is put into the address. Others go into the query (GET, DELETE) or into the body as JSON. Private addresses need the operator's leave.</p>
        <${Field} label="Parameters" help="A JSON Schema. Empty: one required text for each parameter of the address." error=${tool.parameters.trim() ? mistake || wrong("parameters") : wrong("parameters")}><${TextArea} mono rows="6" value=${tool.parameters} onInput=${set("parameters")} placeholder=${JSON.stringify(schemaFor(tool.url), null, 2)} spellcheck=${false} /><//>
        ${!tool.parameters.trim() && html`<div><${Button} size="small" onClick=${() => set("parameters")(JSON.stringify(schemaFor(tool.url), null, 2))}>Write them from the address<//></div>`}
        <${HeadersEditor} label="Headers" help=${`Sent with each call of every user, encrypted, and never shown again. ${known ? "Leave them empty to keep those that are set." : "No person's own key belongs here."}`} rows=${rows} onChange=${setRows} error=${wrong("headers")} />
        <${Checkbox} label="With each user's own credentials" help="Users give headers of their own in their settings; without them a call fails." checked=${tool.own} onChange=${set("own")} />
        <${Field} label="May a call be made twice" help="After a crash in the middle of it, because it does no harm or the server recognizes it by its Idempotency-Key."><${Select} options=${known ? [KEPT, ...SAFE.slice(1)] : SAFE} value=${tool.safe} onChange=${set("safe")} /><//>
        ${known && hostOf(tool.url) !== hostOf(known.url) && html`<p class="field-help">At another server, the headers that users gave for this tool are deleted.</p>`}
        <div class="row row-end"><${Button} kind="primary" type="submit" busy=${busy}>${known ? "Save" : "Make the tool"}<//></div>
      </form>
    <//>`;
}
