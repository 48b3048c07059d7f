// A request message by message, in the order in which the model reads it.
import { html, useState } from "../../vendor/preact.js";
import { Button } from "../ui/button.js";
import { groupsOf, isSummary, textOf, timelineOf } from "./timeline.js";
import { count, counted, reasonWords, ROLES } from "./words.js";

const LONG = 600;
const FEW = 40;

export function ContextMessages({ context, texts }) {
  const groups = groupsOf(timelineOf(context));
  const [all, setAll] = useState(groups.length <= FEW);
  const shown = all ? groups : groups.slice(-FEW);
  const hidden = context.system === null && context.tools === null;
  return html`
    <section class="context-messages" aria-labelledby="messages-title">
      <h2 id="messages-title">As the model reads it</h2>
      ${hidden && html`<p class="section-help">The system prompt and the tools are for those who may see the agent.</p>`}
      ${context.system && html`
        <details class="context-block piece-system">
          <summary><span class="context-role">System prompt</span></summary>
          <pre class="context-text" dir="auto">${context.system}</pre>
        </details>`}
      ${context.tools?.length > 0 && html`<${Tools} tools=${context.tools} />`}
      ${!all && html`<${Button} size="small" onClick=${() => setAll(true)}>Show ${counted(groups.length - FEW, "earlier entry", "earlier entries")}<//>`}
      <ol class="context-list" role="list">
        ${shown.map((entry) => (entry.sent
          ? html`<${Sent} key=${entry.key} message=${entry} summary=${isSummary(context, entry)} />`
          : html`<${LeftOut} key=${entry.key} group=${entry} texts=${texts} />`))}
      </ol>
      <p class="context-next">Then the next message.</p>
    </section>`;
}

function Tools({ tools }) {
  return html`
    <details class="context-block piece-tools">
      <summary><span class="context-role">Tools</span><span class="context-tokens">${count(tools.length)}</span></summary>
      <ul class="context-tools" role="list">
        ${tools.map((tool) => html`<li key=${tool.name}><strong class="mono">${tool.name}</strong> <span dir="auto">${tool.description}</span></li>`)}
      </ul>
    </details>`;
}

function Sent({ message, summary }) {
  const [open, setOpen] = useState(false);
  const text = textOf(message);
  const cut = text.length > LONG && !open;
  const files = message.parts.filter(({ type }) => type === "file");
  const role = summary ? "Summary of what stood before" : message.seq === null ? "A note of the service" : ROLES[message.role] ?? message.role;
  return html`
    <li class=${`context-block ${summary ? "piece-summary" : `from-${message.role}`}`}>
      <div class="context-head"><span class="context-role">${role}</span><span class="context-tokens">${counted(message.tokens, "token", "tokens")}</span></div>
      <div class="context-text" dir="auto">${cut ? `${text.slice(0, LONG)} …` : text}</div>
      ${files.map((file) => html`<p key=${file.file_id} class="section-help">${sentAs(file)}</p>`)}
      ${text.length > LONG && html`<${Button} kind="quiet" size="small" onClick=${() => setOpen(!open)}>${open ? "Show less" : `Show all ${count(text.length)} characters`}<//>`}
    </li>`;
}

const sentAs = ({ filename, sent_as: form }) =>
  ({ data: `${filename} goes as the file itself.`, text: `${filename} goes as its text.`, name: `Of ${filename} only the name goes.` })[form] ?? filename;

function LeftOut({ group, texts }) {
  const { entries, reason } = group;
  const [open, setOpen] = useState(false);
  const earlier = entries.some(({ role }) => role === null);
  const tokens = entries.reduce((sum, each) => sum + (each.tokens ?? 0), 0);
  return html`
    <li class="context-block left-out">
      <details onToggle=${(event) => setOpen(event.currentTarget.open)}>
        <summary>
          <span class="context-role">${earlier ? "All earlier messages" : counted(entries.length, "message", "messages")} left out</span>
          ${tokens > 0 && html`<span class="context-tokens">${counted(tokens, "token", "tokens")}</span>`}
          <span class="context-reason">because ${reasonWords(reason, earlier ? 2 : entries.length)}</span>
        </summary>
        ${open && html`<ul class="left-out-list" role="list">
          ${entries.map((entry) => html`<li key=${entry.seq}><span class="context-role">${ROLES[entry.role] ?? "Earlier"}</span> <span class="truncate" dir="auto">${texts[entry.seq] || `message ${entry.seq}`}</span></li>`)}
        </ul>`}
      </details>
    </li>`;
}
