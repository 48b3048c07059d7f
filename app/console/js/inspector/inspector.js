// The context inspector: what the model would be sent of a thread now, what is left out, and why.
import { html, useEffect, useRef, useState } from "../../vendor/preact.js";
import { api } from "../api.js";
import { Button } from "../ui/button.js";
import { useLoad } from "../ui/loading.js";
import { Notice, Spinner } from "../ui/states.js";
import { CompareForm, Comparison } from "./compare.js";
import { ContextMessages } from "./messages.js";
import { Strip, TokenBar } from "./drawings.js";
import { piecesOf, timelineOf } from "./timeline.js";
import { count, counted, noticeWords, reasonWords, share, strategyName } from "./words.js";

// Rows of a log come several at once, and a request looks at the whole thread.
const SETTLED_MS = 500;

/**
 * `threadId` names the thread. `first` is what is compared with at first: `{provider, model, strategy}`.
 * When `mark` changes, the thread is looked at again.
 */
export function Inspector({ threadId, first = null, mark = null }) {
  const [other, setOther] = useState(first);
  const path = `/threads/${threadId}/context`;
  const own = useLoad(() => api.get(path), [threadId]);
  const compared = useLoad(() => (other ? api.get(path, other) : Promise.resolve(null)), [threadId, JSON.stringify(other)]);
  const texts = useLoad(() => textsOf(threadId), [threadId]);
  const seen = useRef(mark);
  const lookAgain = () => Promise.all([own.reload(), compared.reload(), texts.reload()]);
  useEffect(() => {
    if (mark === seen.current) return undefined;
    seen.current = mark;
    const timer = setTimeout(lookAgain, SETTLED_MS);
    return () => clearTimeout(timer);
  }, [mark]);
  if (own.problem && !own.data) return html`<${Notice} problem=${own.problem} />`;
  if (!own.data) return html`<${Spinner} />`;
  const context = own.data;
  return html`
    <div class="inspector">
      <${Overview} context=${context} />
      ${context.notices.length > 0 && html`<ul class="inspector-notices" role="list">${context.notices.map((notice, index) => html`<li key=${index}><${Notice} kind="warning">${noticeWords(notice)}<//></li>`)}</ul>`}
      <${LastCall} call=${context.last_call} />
      <section aria-labelledby="compare-title" class="inspector-compare">
        <h2 id="compare-title">Compare</h2>
        <p class="section-help">The same chat for another model, or with another memory. Nothing is sent, and the agent stays as it is.</p>
        <${CompareForm} context=${context} other=${other} onCompare=${setOther} />
        ${compared.problem && html`<${Notice} problem=${compared.problem} />`}
        ${other && compared.loading && html`<${Spinner} />`}
        ${other && compared.data && html`<${Comparison} own=${context} other=${compared.data} onEnd=${() => setOther(null)} />`}
      </section>
      <${ContextMessages} context=${context} texts=${texts.data ?? {}} />
      <div class="row"><${Button} size="small" icon="refresh-cw" onClick=${lookAgain}>Look again<//></div>
    </div>`;
}

/** The beginnings of the newest messages of a thread by their `seq`: a context does not repeat what it leaves out. */
async function textsOf(threadId) {
  const page = await api.get(`/threads/${threadId}/messages`, { order: "desc", limit: 100 });
  return Object.fromEntries(page.data.map((message) => [message.seq, message.content || message.parts.map((part) => part.name ?? part.filename ?? "").join(" ")]));
}

function Overview({ context }) {
  const timeline = timelineOf(context);
  const { total, budget, method } = context.tokens;
  const how = method === "estimate" ? "about " : "";
  return html`
    <section class="inspector-overview" aria-label="The request">
      <p class="inspector-lead">
        Before the next message, <strong dir="auto">${context.model}</strong> (<span dir="auto">${context.provider}</span>) would be sent
        ${" "}${how}<strong>${counted(total, "token", "tokens")}</strong>, ${share(total / budget)} of what fits.
        The memory is <strong>${strategyName(context.strategy)}</strong>.
      </p>
      <${TokenBar} pieces=${piecesOf(context)} />
      <${Strip} timeline=${timeline} />
      <p class="inspector-sentence">${sentenceOf(context)}</p>
    </section>`;
}

/** How much of the thread is sent, and why the rest is not. */
export function sentenceOf(context) {
  const sent = context.messages.filter(({ seq }) => seq !== null).length;
  const out = context.left_out;
  if (!sent && !out.length) return "The chat has no messages yet.";
  if (!out.length) return `${sent === 1 ? "The one message" : `All ${count(sent)} messages`} of the chat ${sent === 1 ? "is" : "are"} sent.`;
  const reasons = new Map();
  for (const { reason } of out) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  const whole = out.some(({ role }) => role === null);
  const why = [...reasons].map(([reason, number]) => `${reasons.size > 1 ? `${count(number)} because ` : ""}${reasonWords(reason, number)}`).join("; ");
  const left = `${whole ? "more than " : ""}${counted(out.length, "message is", "messages are")} left out`;
  return `${counted(sent, "message is", "messages are")} sent, ${left}: ${why}.`;
}

function LastCall({ call }) {
  if (!call) return html`<p class="section-help">This model has not answered in the chat yet, so there is no last call to tell of.</p>`;
  const { input_tokens: input, cached_input_tokens: cached, cached_share: part } = call;
  return html`
    <section class="inspector-last" aria-labelledby="last-title">
      <h2 id="last-title">The last call</h2>
      <p>
        ${input === null ? "The provider did not say how many tokens it read." : `The provider read ${counted(input, "token", "tokens")}.`}
        ${" "}${part === null ? "It does not say what came from its cache." : `${share(part)} of them (${count(cached)}) came from its cache, which is cheaper.`}
      </p>
      ${part !== null && html`<meter class="cache-meter" min="0" max="1" value=${part} aria-label="Share from the cache">${share(part)}</meter>`}
    </section>`;
}
