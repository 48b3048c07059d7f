// A new MCP server.
import { html, useState } from "../../vendor/preact.js";
import { api, newKey, toProblem } from "../api.js";
import { HeadersEditor, headersOf, NO_HEADERS } from "../settings/headers_editor.js";
import { Button } from "../ui/button.js";
import { Dialog } from "../ui/dialog.js";
import { Checkbox, errorOf, Field, otherErrors, TextInput } from "../ui/fields.js";
import { Notice } from "../ui/states.js";

const SHOWN = ["name", "url", "headers", "own_headers", "mcp"];

export function McpServerForm({ onClose, onMade }) {
  const [server, setServer] = useState({ name: "", url: "", own: false, safe: false });
  const [rows, setRows] = useState(NO_HEADERS);
  const [ownRows, setOwnRows] = useState(NO_HEADERS);
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const set = (field) => (value) => setServer({ ...server, [field]: value });
  const make = async (event) => {
    event.preventDefault();
    setBusy(true);
    const own = headersOf(ownRows);
    const body = { type: "mcp", name: server.name, url: server.url, headers: headersOf(rows), credentials: server.own ? "user" : null, retry_safe: server.safe };
    if (server.own && Object.keys(own).length) body.own_headers = own;
    try {
      await api.post("/tools", body, { key: newKey() });
      onMade(server.name);
    } catch (failure) {
      setProblem(toProblem(failure));
      setBusy(false);
    }
  };
  const wrong = (field) => errorOf(problem, "mcp", field) || errorOf(problem, field);
  return html`
    <${Dialog} title="Connect an MCP server" wide onClose=${onClose}>
      <form class="stack" onSubmit=${make}>
        ${problem && html`<${Notice} problem=${problem} errors=${otherErrors(problem, SHOWN)} />`}
        <p class="section-help">Models read what a server says about its tools. Connecting it approves the tools that it offers now; what it changes later is off until you approve it.</p>
        <${Field} label="Name" help="Its tools will be named name/tool." error=${wrong("name")}><${TextInput} mono value=${server.name} onInput=${set("name")} required maxlength="64" autocomplete="off" spellcheck=${false} autofocus /><//>
        <${Field} label="Address" help="Streamable HTTP." error=${wrong("url")}><${TextInput} mono value=${server.url} onInput=${set("url")} required maxlength="2000" placeholder="https://mcp.example.com/mcp" autocomplete="off" spellcheck=${false} /><//>
        <${HeadersEditor} label="Headers" help="Sent with each call of every user, encrypted, and never shown again." rows=${rows} onChange=${setRows} error=${wrong("headers")} />
        <${Checkbox} label="With each user's own credentials" help="Users give headers of their own in their settings." checked=${server.own} onChange=${set("own")} />
        ${server.own && html`<${HeadersEditor} label="Your own headers" help="Kept as your credentials: the server is asked with them for its tools." rows=${ownRows} onChange=${setOwnRows} error=${wrong("own_headers")} />`}
        <${Checkbox} label="Calls may be made twice" help="After a crash in the middle of one, because they do no harm or the server recognizes them by their id." checked=${server.safe} onChange=${set("safe")} />
        <div class="row row-end"><${Button} kind="primary" type="submit" busy=${busy}>Connect<//></div>
      </form>
    <//>`;
}
