// One's own credentials of tools that are called with those of each user.
import { html, useState } from "../../vendor/preact.js";
import { api, toProblem } from "../api.js";
import { Button } from "../ui/button.js";
import { confirm, Dialog } from "../ui/dialog.js";
import { useLoad } from "../ui/loading.js";
import { Badge, Notice, Spinner } from "../ui/states.js";
import { toast } from "../ui/toast.js";
import { HeadersEditor, headersOf, NO_HEADERS } from "./headers_editor.js";

/** The tools that take one's own credentials: `[{tool, descriptions, given}]`. */
async function loadTools() {
  const [tools, credentials] = await Promise.all([api.get("/tools"), api.get("/me/credentials")]);
  const given = new Set(credentials.data.map(({ tool }) => tool));
  const found = new Map([...given].map((tool) => [tool, []]));
  for (const { name, type, description, credentials: whose } of tools.data) {
    if (whose !== "user") continue;
    const tool = type === "mcp" ? name.split("/")[0] : name;
    found.set(tool, [...(found.get(tool) ?? []), type === "mcp" ? name.slice(tool.length + 1) : description]);
  }
  return [...found].map(([tool, descriptions]) => ({ tool, descriptions, given: given.has(tool) })).sort((a, b) => a.tool.localeCompare(b.tool));
}

export function Credentials() {
  const { data, problem, reload } = useLoad(loadTools);
  const [open, setOpen] = useState(null);
  const [failure, setFailure] = useState(null);
  const remove = async (tool) => {
    if (!(await confirm({ title: `Take back your credentials of ${tool}?`, text: "Calls of it in your answers fail from then on.", action: "Take them back", danger: true }))) return;
    try {
      await api.delete(`/me/credentials/${encodeURIComponent(tool)}`);
      toast(`Your credentials of ${tool} are deleted.`);
      reload();
    } catch (error) {
      setFailure(toProblem(error));
    }
  };
  return html`
    <section class="form-section" aria-labelledby="title-credentials">
      <header class="form-section-head">
        <h2 id="title-credentials">Credentials of tools</h2>
        <p class="section-help">Some tools work with an account of yours. What you give is encrypted, goes with calls of your answers alone, and is never shown again.</p>
      </header>
      ${(problem ?? failure) && html`<${Notice} problem=${problem ?? failure} />`}
      ${!data && !problem && html`<${Spinner} />`}
      ${data?.length === 0 && html`<p class="section-empty">No tool that you may use asks for credentials of yours.</p>`}
      <ul class="setting-list" role="list">
        ${(data ?? []).map(({ tool, descriptions, given }) => html`
          <li key=${tool} class="setting-row">
            <div class="grow"><strong class="mono">${tool}</strong> ${given ? html`<${Badge} kind="accent">Given<//>` : html`<${Badge} kind="warning">Not given<//>`}
              <p class="section-help clamped" dir="auto">${descriptions.join(", ")}</p></div>
            <${Button} size="small" onClick=${() => setOpen(tool)} aria-label=${`${given ? "Replace" : "Give"} credentials of ${tool}`}>${given ? "Replace" : "Give"}<//>
            ${given && html`<${Button} size="small" kind="quiet" onClick=${() => remove(tool)} aria-label=${`Delete credentials of ${tool}`}>Delete<//>`}
          </li>`)}
      </ul>
      ${open && html`<${GiveCredentials} tool=${open} onClose=${() => setOpen(null)} onGiven=${() => {
        setOpen(null);
        toast(`${open} is called with your credentials from now on.`);
        reload();
      }} />`}
    </section>`;
}

function GiveCredentials({ tool, onClose, onGiven }) {
  const [rows, setRows] = useState(NO_HEADERS);
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const give = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await api.put(`/me/credentials/${encodeURIComponent(tool)}`, { headers: headersOf(rows) });
      onGiven();
    } catch (error) {
      setProblem(toProblem(error));
      setBusy(false);
    }
  };
  return html`
    <${Dialog} title=${`Credentials of ${tool}`} onClose=${onClose}>
      <form class="stack" onSubmit=${give}>
        ${problem && html`<${Notice} problem=${problem} />`}
        <${HeadersEditor} label="Headers" rows=${rows} onChange=${setRows} help="Sent with each call, in place of those that you gave before. Most services take Authorization with a token of yours." />
        <div class="row row-end"><${Button} kind="primary" type="submit" busy=${busy} disabled=${!rows.some(({ name, value }) => name.trim() && value)}>Give them<//></div>
      </form>
    <//>`;
}
