// The list of threads in the sidebar.
import { html, useEffect, useRef, useState } from "../../vendor/preact.js";
import { href, useRoute } from "../router.js";
import { session } from "../session.js";
import { useStore } from "../signals.js";
import { Button } from "../ui/button.js";
import { Lazy } from "../ui/lazy.js";
import { shareThread } from "../sharing/share_thread.js";
import { Menu } from "../ui/menu.js";
import { Notice, Spinner } from "../ui/states.js";
import { RelativeTime } from "../ui/time.js";
import { rightsOn } from "./rights.js";
import { loadMoreThreads, loadThreads, previewOf, threadStore, titleOf, waitingStore } from "./thread_store.js";

const DAY = 86_400_000;
const SCOPES = [
  { value: "mine", label: "My chats" },
  { value: "shared", label: "With those shared with everyone" },
  { value: "all", label: "Everyone's chats", admin: true },
];

/** Threads by when something last happened in them. */
function groupsOf(threads) {
  const midnight = new Date().setHours(0, 0, 0, 0);
  const groups = new Map();
  for (const thread of threads) {
    const at = Date.parse(thread.last_activity_at);
    const name = at >= midnight ? "Today" : at >= midnight - DAY ? "Yesterday" : at >= midnight - 6 * DAY ? "Last seven days" : "Earlier";
    groups.set(name, [...(groups.get(name) ?? []), thread]);
  }
  return [...groups];
}

const loadRename = () => import("./thread_actions.js");

export function ThreadList() {
  const { items, next, loading, problem, scope } = useStore(threadStore);
  const waiting = useStore(waitingStore);
  const { params, path } = useRoute();
  const [renamed, setRenamed] = useState(null);
  const list = useRef(null);
  const current = path.startsWith("/threads/") ? params.thread_id : null;

  const onKeyDown = (event) => {
    const links = [...list.current.querySelectorAll("a.thread-link")];
    const at = links.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
    if (at >= 0 && to !== undefined && links[to]) {
      event.preventDefault();
      links[to].focus();
    } else if (at >= 0 && event.key === "F2") {
      const thread = items.find(({ id }) => id === links[at].dataset.id);
      if (rightsOn(thread).change) setRenamed(thread.id);
    }
  };
  const scopes = SCOPES.filter((each) => !each.admin || session.isAdmin).map((each) => ({
    label: each.label,
    checked: each.value === scope,
    onSelect: () => loadThreads(each.value),
  }));

  return html`<section class="threads" aria-label="Chats">
    <h2 class=${scope === "mine" ? "visually-hidden" : "threads-title"}>${SCOPES.find((each) => each.value === scope).label}</h2>
    <${Menu} class="threads-scope" label="Which chats are listed" icon="sliders-horizontal" size="small" items=${scopes} />
    <div class="threads-scroll" ref=${list} onKeyDown=${onKeyDown}>
      ${problem && !items.length && html`<${Notice} problem=${problem} action=${{ label: "Try again", onClick: () => loadThreads() }} />`}
      ${!items.length && loading && html`<${Spinner} label="Loading chats" />`}
      ${!items.length && !loading && !problem && html`<p class="threads-empty">Chats will be listed here, the newest first.</p>`}
      ${groupsOf(items).map(([name, threads]) => html`<div key=${name}>
        <h3 class="threads-group">${name}</h3>
        <ul role="list">
          ${threads.map((thread) => html`<${Entry} key=${thread.id} thread=${thread} current=${thread.id === current} waiting=${waiting.has(thread.id)}
            renaming=${renamed === thread.id} onRename=${() => setRenamed(thread.id)} onRenamed=${() => setRenamed(null)} />`)}
        </ul>
      </div>`)}
      ${next && html`<div class="threads-more"><${Button} kind="quiet" size="small" wide busy=${loading} onClick=${loadMoreThreads}>Show more<//></div>`}
    </div>
  </section>`;
}

function Entry({ thread, current, waiting, renaming, onRename, onRenamed }) {
  const place = useRef(null);
  useEffect(() => {
    if (current) place.current?.scrollIntoView({ block: "nearest" });
  }, [current]);
  if (renaming) return html`<li class="thread"><${Lazy} load=${loadRename} thread=${thread} onDone=${onRenamed} /></li>`;
  const remove = async () => (await import("./thread_actions.js")).deleteThread(thread);
  const { change, own } = rightsOn(thread);
  return html`<li class=${`thread ${current ? "thread-current" : ""}`} ref=${place}>
    <a class="thread-link" href=${href(`/threads/${thread.id}`)} data-id=${thread.id} aria-current=${current ? "page" : undefined}>
      <span class="thread-line">
        <span class="thread-name truncate grow" dir="auto">${titleOf(thread)}</span>
        <${State} thread=${thread} waiting=${waiting} />
      </span>
      ${thread.title && thread.preview && html`<span class="thread-preview truncate" dir="auto">${previewOf(thread)}</span>`}
    </a>
    <${Menu} class="thread-menu" label=${`More for ${titleOf(thread)}`} size="small" items=${[
      change && { label: "Rename", icon: "pencil", onSelect: onRename },
      { label: own ? "Share" : "Your role", icon: "users", onSelect: () => shareThread(thread.id, thread.title) },
      own && { label: "Delete", icon: "trash", danger: true, onSelect: remove },
    ]} />
  </li>`;
}

function State({ thread, waiting }) {
  if (waiting) return html`<span class="thread-state thread-waiting"><span class="visually-hidden">waits for you</span></span>`;
  if (thread.running) return html`<span class="thread-state thread-running"><span class="visually-hidden">is answering</span></span>`;
  return html`<${RelativeTime} short class="thread-time" at=${thread.last_activity_at} />`;
}
