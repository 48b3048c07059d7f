// Tools for admins: HTTP tools and MCP servers, their state, and who may use them.
import { html, useState } from "../../vendor/preact.js";
import { api, toProblem } from "../api.js";
import { openSharing } from "../sharing/open_sharing.js";
import { Button } from "../ui/button.js";
import { confirm } from "../ui/dialog.js";
import { useLoad } from "../ui/loading.js";
import { Menu } from "../ui/menu.js";
import { Badge, Empty, Notice, Spinner } from "../ui/states.js";
import { toast } from "../ui/toast.js";
import { HttpToolForm } from "./http_tool_form.js";
import { McpServerForm } from "./mcp_server_form.js";
import { sourcesOf, STATES } from "./sources.js";
import { ToolDetails } from "./tool_details.js";

export default function ToolsView() {
  const { data, problem, reload } = useLoad(() => api.get("/tools"));
  const [open, setOpen] = useState(null);
  const [failure, setFailure] = useState(null);
  const { made, python } = sourcesOf(data?.data ?? []);
  const act = async (work, said) => {
    setFailure(null);
    try {
      await work();
      toast(said);
      await reload();
    } catch (error) {
      setFailure(toProblem(error));
    }
  };
  const remove = async ({ name, type }) => {
    const text = `Agents that name ${type === "mcp" ? "its tools" : "it"} go on without, and their runs say so. Credentials that people gave for it are deleted too.`;
    if (await confirm({ title: `Delete ${name}?`, text, action: "Delete", danger: true })) await act(() => api.delete(`/tools/${encodeURIComponent(name)}`), `${name} is deleted.`);
  };
  const done = (said) => {
    setOpen(null);
    toast(said);
    reload();
  };
  return html`
    <div class="page">
      <header class="page-head">
        <div class="grow"><h1>Tools</h1><p class="page-lead">What agents may call. What you add is yours alone until you share it.</p></div>
        <div class="row">
          <${Button} icon="plug" onClick=${() => setOpen("mcp")}>Connect an MCP server<//>
          <${Button} kind="primary" icon="plus" onClick=${() => setOpen("http")}>New HTTP tool<//>
        </div>
      </header>
      ${(problem ?? failure) && html`<${Notice} problem=${problem ?? failure} />`}
      ${!data && !problem && html`<${Spinner} />`}
      ${data && !made.length && html`<${Empty} icon="wrench" title="No tools of yours yet" text="An HTTP tool calls an address. An MCP server brings a set of tools of its own." action=${{ label: "New HTTP tool", icon: "plus", onClick: () => setOpen("http") }} />`}
      ${made.map((source) => html`<${Source} key=${source.name} source=${source} onRemove=${() => remove(source)} onChange=${() => setOpen({ known: source.tools[0] })}
        onApprove=${(tools) => act(() => api.post(`/tools/${encodeURIComponent(source.name)}/approve`, { tools }), "Approved.")} />`)}
      ${python.length > 0 && html`
        <section class="stack" aria-labelledby="title-python">
          <div><h2 id="title-python">In the program</h2><p class="section-help">Tools in Python are everybody's, and are changed where the program is.</p></div>
          <ul class="tool-list" role="list">${python.map((tool) => html`<li key=${tool.name} class="tool-row"><${ToolDetails} tool=${tool} /></li>`)}</ul>
        </section>`}
      ${open === "http" && html`<${HttpToolForm} onClose=${() => setOpen(null)} onDone=${(name) => done(`${name} is made. Share it to let others use it.`)} />`}
      ${open?.known && html`<${HttpToolForm} known=${open.known} onClose=${() => setOpen(null)} onDone=${(name) => done(`${name} is changed.`)} />`}
      ${open === "mcp" && html`<${McpServerForm} onClose=${() => setOpen(null)} onMade=${(name) => done(`${name} is connected, and its tools are approved.`)} />`}
    </div>`;
}

function Source({ source, onRemove, onChange, onApprove }) {
  const { name, type, tools } = source;
  const url = tools[0]?.url;
  const waiting = tools.filter(({ status }) => status === "changed" || status === "unapproved");
  const approve = (some) => onApprove(some.map((tool) => ({ name: type === "mcp" ? tool.name.slice(name.length + 1) : tool.name, digest: (tool.offered ?? tool).digest })));
  return html`
    <section class="source" aria-label=${name}>
      <header class="source-head">
        <div class="grow">
          <h2><span class="mono">${name}</span> <${Badge}>${type === "mcp" ? "MCP server" : "HTTP tool"}<//> ${tools[0]?.credentials === "user" && html`<${Badge}>Each user's own credentials<//>`}</h2>
          ${url && html`<p class="section-help source-url">${url}</p>`}
        </div>
        <${Button} size="small" icon="users" aria-label=${`Share ${name}`} onClick=${() => openSharing({ resourceType: "tool", resourceId: name, title: name })}>Share<//>
        <${Menu} label=${`More for ${name}`} items=${[
          type === "http" && { label: "Change", icon: "pencil", onSelect: onChange },
          { label: "Delete", icon: "trash", danger: true, onSelect: onRemove },
        ]} />
      </header>
      ${waiting.length > 0 && html`<${Notice} kind="warning" title="A person has to look at this" action=${{ label: waiting.length === 1 ? "Approve it" : `Approve all ${waiting.length}`, onClick: () => approve(waiting) }}>
        ${waiting.map(({ name: tool }) => tool).join(", ")}: the server has changed or added this since it was approved. Models read what the server says about its tools, so read it first.<//>`}
      <ul class="tool-list" role="list">
        ${tools.map((tool) => html`
          <li key=${tool.name} class="tool-row">
            <${ToolDetails} tool=${tool} named=${type === "mcp"} />
            ${tool.status !== "on" && html`<div class="row"><${Badge} kind=${STATES[tool.status].kind}>${STATES[tool.status].name}<//> <span class="section-help">${tool.reason ?? STATES[tool.status].help}</span></div>`}
          </li>`)}
      </ul>
    </section>`;
}
