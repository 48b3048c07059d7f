// A test message beside the form: a conversation with this agent in a thread of its own.
import { html, useEffect, useRef, useState } from "../../vendor/preact.js";
import { api, newKey, send, toProblem } from "../api.js";
import { MarkdownText } from "../chat/markdown_text.js";
import { href } from "../router.js";
import { Button } from "../ui/button.js";
import { TextArea } from "../ui/fields.js";
import { Notice } from "../ui/states.js";
import { eventsOf } from "./event_stream.js";

/** `unsaved`: the form has changes that the service does not have; `onSave()` saves them. */
export function TryIt({ agent, unsaved, onSave }) {
  const [text, setText] = useState("");
  const [turns, setTurns] = useState([]);
  const [busy, setBusy] = useState(false);
  const thread = useRef(null);
  const leaving = useRef(new AbortController());
  const log = useRef(null);
  useEffect(() => () => leaving.current.abort(), []);
  useEffect(() => {
    log.current.scrollTop = log.current.scrollHeight;
  }, [turns]);
  // After "Start over" there is no turn that the end of the one before could be told to.
  const patchLast = (change) => setTurns((all) => (all.length ? [...all.slice(0, -1), { ...all.at(-1), ...change(all.at(-1)) }] : all));

  const ask = async (event) => {
    event?.preventDefault();
    const content = text.trim();
    if (!content || busy) return;
    setText("");
    setBusy(true);
    setTurns((all) => [...all, { content, version: agent.version, texts: {}, tools: [], problem: null, waiting: false, done: false }]);
    try {
      thread.current ??= (await api.post("/threads", { agent_id: agent.id, title: `Trying ${agent.name}`.slice(0, 200) }, { key: newKey() })).id;
      const response = await send("POST", `/threads/${thread.current}/messages`, { body: { content, stream: true, on_busy: "interrupt" }, key: newKey(), signal: leaving.current.signal, headers: { accept: "text/event-stream" } });
      for await (const each of eventsOf(response)) patchLast((turn) => heard(turn, each));
    } catch (error) {
      if (error.name !== "AbortError") patchLast(() => ({ problem: toProblem(error) }));
    } finally {
      patchLast(() => ({ done: true }));
      setBusy(false);
    }
  };
  const restart = () => {
    leaving.current.abort();
    leaving.current = new AbortController();
    thread.current = null;
    setTurns([]);
  };
  return html`
    <aside class="try-it" id="section-try" aria-label="Try it">
      <header class="try-it-head">
        <h2 id="title-try" tabindex="-1">Try it</h2>
        ${turns.length > 0 && html`<${Button} size="small" kind="quiet" onClick=${restart}>Start over<//>`}
      </header>
      <div class="try-it-turns" ref=${log} tabindex="0" role="log" aria-label="What was said">
        ${turns.length === 0 && html`<p class="section-help">Send a message to see how version ${agent.version} answers. It is a chat of your own, in your list.</p>`}
        ${turns.map((turn, index) => html`<${Turn} key=${index} turn=${turn} />`)}
      </div>
      ${unsaved && html`<p class="try-it-note">Answers come from version ${agent.version}, without what is not saved. <button type="button" class="text-button" onClick=${onSave}>Save first</button></p>`}
      <form class="try-it-form" onSubmit=${ask}>
        <${TextArea} rows="2" aria-label="Message to try" placeholder=${`Message to ${agent.name}`} value=${text} onInput=${setText}
          onKeyDown=${(event) => event.key === "Enter" && !event.shiftKey && !event.isComposing && ask(event)} />
        <div class="row row-between">
          ${thread.current ? html`<a class="small" href=${href(`/threads/${thread.current}`)}>Open the chat</a>` : html`<span></span>`}
          <${Button} type="submit" size="small" icon="arrow-up" busy=${busy} disabled=${!text.trim()}>Send<//>
        </div>
      </form>
    </aside>`;
}

/** What a turn becomes by an event of its run. */
export function heard(turn, { type, data }) {
  const discarded = Object.fromEntries(Object.entries(turn.texts).filter(([id]) => !data.discard?.includes(id)));
  switch (type) {
    case "message.delta":
      return { texts: { ...turn.texts, [data.message_id]: (turn.texts[data.message_id] ?? "") + data.text } };
    case "message.completed":
      return data.message.role === "assistant" ? { texts: { ...turn.texts, [data.message.id]: data.message.content } } : {};
    case "tool.started":
      return { tools: [...turn.tools, { id: data.tool_call_id, name: data.name, state: "is called" }] };
    case "tool.completed":
      return { tools: turn.tools.map((tool) => (tool.id === data.tool_call_id ? { ...tool, state: data.is_error ? "failed" : "answered" } : tool)) };
    case "run.waiting":
      return { waiting: true };
    case "run.failed":
      return { texts: discarded, problem: toProblemOf(data.problem) };
    case "run.retrying":
    case "run.cancelled":
      return { texts: discarded };
    default:
      return {};
  }
}

const toProblemOf = ({ title, detail, status, request_id: requestId }) => ({ title, detail, status, requestId, errors: [] });

function Turn({ turn }) {
  const answers = Object.entries(turn.texts).filter(([, text]) => text);
  return html`
    <div class="try-it-turn">
      <p class="try-it-question" dir="auto">${turn.content}</p>
      ${turn.tools.map((tool) => html`<p key=${tool.id} class="try-it-tool"><span class="mono">${tool.name}</span> ${tool.state}</p>`)}
      ${answers.map(([id, text]) => html`<${MarkdownText} key=${id} text=${text} done=${turn.done} />`)}
      ${turn.waiting && html`<p class="section-help">A call waits for a person's yes: open the chat to decide.</p>`}
      ${turn.problem && html`<${Notice} problem=${turn.problem} />`}
    </div>`;
}
