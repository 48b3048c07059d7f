// Search in titles and messages.
import { html, useEffect, useRef, useState } from "../../vendor/preact.js";
import { api, toProblem } from "../api.js";
import { href, navigate } from "../router.js";
import { session } from "../session.js";
import { Button } from "../ui/button.js";
import { Field, Switch, TextInput } from "../ui/fields.js";
import { Empty, Notice, Spinner } from "../ui/states.js";
import { RelativeTime } from "../ui/time.js";
import { previewOf } from "./thread_store.js";

const TYPING_MS = 250;
const TITLES = 5;
const NOTHING = { hits: [], titles: [], next: null, incomplete: false, asked: "" };

export default function SearchView({ query }) {
  const [typed, setTyped] = useState(query.q ?? "");
  const [shared, setShared] = useState(query.shared === "true");
  const [found, setFound] = useState(NOTHING);
  const [loading, setLoading] = useState(false);
  const [problem, setProblem] = useState(null);
  const turn = useRef(0);
  const results = useRef(null);

  const ask = async (q, after = null) => {
    const own = ++turn.current;
    setProblem(null);
    if (!q) {
      setFound(NOTHING);
      setLoading(false);
      return;
    }
    setLoading(true);
    try {
      const more = shared ? { shared: true } : {};
      const titled = { q, order: "activity", limit: TITLES, ...(shared || session.isAdmin ? more : { user_id: session.me.user_id }) };
      const [messages, threads] = await Promise.all([
        api.get("/search", { q, after, ...more }),
        after ? null : api.get("/threads", titled),
      ]);
      if (own !== turn.current) return;
      setFound((old) => ({
        hits: after ? [...old.hits, ...messages.data] : messages.data,
        titles: threads?.data ?? old.titles,
        next: messages.next,
        incomplete: messages.incomplete ?? false,
        asked: q,
      }));
    } catch (error) {
      if (own !== turn.current) return;
      setProblem(toProblem(error));
      if (!after) setFound(NOTHING);
    }
    setLoading(false);
  };

  const q = typed.trim();
  useEffect(() => {
    const timer = setTimeout(() => {
      navigate(href("/search", { q, shared: shared || null }), { replace: true });
      ask(q);
    }, TYPING_MS);
    return () => clearTimeout(timer);
  }, [q, shared]);

  const onKeyDown = (event) => {
    const links = [...(results.current?.querySelectorAll("a.hit") ?? [])];
    const at = links.indexOf(document.activeElement);
    if (event.key === "ArrowDown" && links[at + 1]) links[at + 1].focus();
    else if (event.key === "ArrowUp" && at >= 0) (links[at - 1] ?? event.currentTarget.querySelector("input")).focus();
    else return;
    event.preventDefault();
  };
  const nothing = found.asked && !loading && !found.hits.length && !found.titles.length;
  return html`<div class="page page-narrow" onKeyDown=${onKeyDown}>
    <h1>Search</h1>
    <form class="stack stack-tight" role="search" onSubmit=${(event) => {
      event.preventDefault();
      ask(q);
    }}>
      <${Field} label="Words in chats" help='"A phrase" in quotes is found as it is; -word leaves out what has the word.'
        error=${problem?.status === 422 ? problem.errors.map(({ msg }) => msg).join(" ") || problem.detail : ""}>
        <${TextInput} type="search" value=${typed} onInput=${setTyped} maxlength="500" autofocus autocomplete="off" />
      <//>
      <${Switch} label="Also what is shared with everyone" checked=${shared} onChange=${setShared} />
    </form>
    ${problem && problem.status !== 422 && html`<${Notice} problem=${problem} action=${{ label: "Try again", onClick: () => ask(q) }} />`}
    <p class="visually-hidden" role="status">${found.asked && !loading ? `${found.hits.length + found.titles.length}${found.next ? " or more" : ""} found` : ""}</p>
    <div class="stack" ref=${results} aria-busy=${String(loading)}>
      ${found.titles.length > 0 && html`<section class="stack stack-tight" aria-labelledby="found-titles">
        <h2 id="found-titles" class="hits-title">In names</h2>
        <ul role="list" class="hits">${found.titles.map((thread) => html`<li key=${thread.id}><${TitleHit} thread=${thread} /></li>`)}</ul>
      </section>`}
      ${found.hits.length > 0 && html`<section class="stack stack-tight" aria-labelledby="found-messages">
        <h2 id="found-messages" class="hits-title">In messages</h2>
        <ul role="list" class="hits">${found.hits.map((hit) => html`<li key=${hit.message.id}><${Hit} ...${hit} /></li>`)}</ul>
      </section>`}
      ${found.incomplete && html`<${Notice} kind="info">Older messages were not searched: these words are in too many of them. More words find more.<//>`}
      ${found.next && html`<div class="row"><${Button} onClick=${() => ask(q, found.next)} busy=${loading}>Show more<//></div>`}
      ${loading && !found.hits.length && !found.titles.length && html`<${Spinner} label="Searching" />`}
      ${nothing && html`<${Empty} icon="search" title="Nothing found" text="Try fewer or other words; parts of words are not looked for." />`}
    </div>
  </div>`;
}

function TitleHit({ thread }) {
  return html`<a class="hit" href=${href(`/threads/${thread.id}`)}>
    <span class="hit-head"><span class="hit-name truncate grow" dir="auto">${thread.title}</span><${RelativeTime} class="muted" at=${thread.last_activity_at} /></span>
    ${thread.preview && html`<span class="muted truncate" dir="auto">${previewOf(thread)}</span>`}
  </a>`;
}

function Hit({ message, thread, snippet }) {
  return html`<a class="hit" href=${href(`/threads/${thread.id}`, { message: message.id })}>
    <span class="hit-head"><span class="hit-name truncate grow" dir="auto">${thread.title || "Chat without a name"}</span><${RelativeTime} class="muted" at=${message.created_at} /></span>
    <span class="hit-text" dir="auto"><span class="muted">${message.role === "user" ? "Asked: " : "Answered: "}</span>${marked(snippet)}</span>
  </a>`;
}

/** The snippet with what was asked for in `<mark>`. Its places are in code points. */
function marked({ text, marks }) {
  const points = Array.from(text);
  const shown = [];
  let at = 0;
  for (const [start, end] of marks) {
    shown.push(points.slice(at, start).join(""), html`<mark>${points.slice(start, end).join("")}</mark>`);
    at = end;
  }
  shown.push(points.slice(at).join(""));
  return shown;
}
