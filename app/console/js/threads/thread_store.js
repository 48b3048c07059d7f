// The threads of the sidebar: by last activity, kept right by the feed's hints.
import { api, toProblem } from "../api.js";
import { onFeed } from "../live/feed.js";
import { onSessionEnd, session } from "../session.js";
import { createStore } from "../signals.js";

const PAGE = 40;
// Hints may come many times a second; the list is asked for at most so often.
const REFRESH_MS = 1500;
const FIRST_REFRESH_MS = 150;
const EMPTY = { items: [], next: null, loading: true, problem: null, scope: "mine" };

/** `{items: [thread, with `waiting`], next, loading, problem, scope}`; `scope` is mine, shared or all (for admins). */
export const threadStore = createStore(EMPTY);
/** The ids of threads in which a call waits for this person. */
export const waitingStore = createStore(new Set());

/** The beginning of the last message on one line, without the marks of its markdown. */
export function previewOf(thread) {
  return (thread.preview ?? "")
    .replace(/```[\w+-]*/g, " ")
    .replace(/^\s*(?:#{1,6}|>|[-*+])\s+/gm, "")
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/(\*\*|~~|`)(\S(?:.*?\S)?)(?:\1|$)/g, "$2")
    .replace(/(?<![\w*])\*([^\s*](?:[^*]*[^\s*])?)\*(?![\w*])/g, "$1")
    .replace(/\s+/g, " ")
    .trim();
}

export const titleOf = (thread) => thread.title || previewOf(thread) || "New chat";

let strangers = new Set(); // threads of other people, of which admins hear, too
let timer = 0;
let asked = 0; // when the list was last asked for
let turn = 0;

function query(scope, more = {}) {
  const scoped = { mine: { user_id: session.me?.user_id }, shared: { shared: true }, all: {} }[scope];
  return { order: "activity", limit: PAGE, ...scoped, ...more };
}

/** List from the start. */
export async function loadThreads(scope = threadStore.get().scope) {
  const own = ++turn;
  threadStore.set((old) => ({ ...(old.scope === scope ? old : { ...EMPTY, scope }), loading: true }));
  strangers = new Set();
  try {
    const page = await api.get("/threads", query(scope));
    if (own === turn) threadStore.set({ items: page.data, next: page.next, loading: false, problem: null, scope });
  } catch (error) {
    if (own === turn) threadStore.set((old) => ({ ...old, loading: false, problem: toProblem(error) }));
  }
}

/** The next page. */
export async function loadMoreThreads() {
  const { next, scope, loading } = threadStore.get();
  if (!next || loading) return;
  const own = ++turn;
  threadStore.set((old) => ({ ...old, loading: true }));
  try {
    const page = await api.get("/threads", query(scope, { after: next }));
    if (own === turn) threadStore.set((old) => ({ ...old, items: merged(old.items, page.data), next: page.next, loading: false }));
  } catch (error) {
    if (own === turn) threadStore.set((old) => ({ ...old, loading: false, problem: toProblem(error) }));
  }
}

/** List the newest again, and lay them over what is known. */
async function refresh() {
  asked = Date.now();
  const { scope } = threadStore.get();
  try {
    const page = await api.get("/threads", query(scope));
    if (scope !== threadStore.get().scope) return;
    threadStore.set((old) => ({ ...old, items: merged(old.items, page.data), next: old.items.length ? old.next : page.next, problem: null }));
    for (const id of [...heard]) if (!page.data.some((thread) => thread.id === id)) strangers.add(id);
    heard.clear();
  } catch {
    // The feed tells when the service is back, and then all is listed again.
  }
}

const heard = new Set(); // threads that a hint named and the list does not have

function refreshSoon() {
  if (timer || document.visibilityState === "hidden") {
    late = true;
    return;
  }
  timer = setTimeout(() => {
    timer = 0;
    late = false;
    refresh();
  }, Math.max(FIRST_REFRESH_MS, asked + REFRESH_MS - Date.now()));
}

let late = false;
document.addEventListener("visibilitychange", () => {
  if (late && document.visibilityState === "visible" && session.me) refreshSoon();
});

function merged(old, fresh) {
  const all = new Map(old.map((thread) => [thread.id, thread]));
  for (const thread of fresh) all.set(thread.id, thread);
  return [...all.values()].sort((a, b) => (a.last_activity_at < b.last_activity_at ? 1 : a.last_activity_at > b.last_activity_at ? -1 : a.id < b.id ? 1 : -1));
}

/** Change what is known of one thread, before or after the service knows it. */
export function patchThread(id, changes) {
  threadStore.set((old) => {
    if (!old.items.some((thread) => thread.id === id)) return old;
    return { ...old, items: merged([], old.items.map((thread) => (thread.id === id ? { ...thread, ...changes } : thread))) };
  });
}

/** Leave a thread out. */
export function dropThread(id) {
  threadStore.set((old) => ({ ...old, items: old.items.filter((thread) => thread.id !== id) }));
  setWaiting(id, false);
}

function setWaiting(id, waiting) {
  if (waitingStore.get().has(id) === waiting) return;
  waitingStore.set((old) => {
    const made = new Set(old);
    if (waiting) made.add(id);
    else made.delete(id);
    return made;
  });
}

/** What waits for this person now: hints tell only of what changes. */
async function loadWaiting() {
  try {
    const { data } = await api.get("/approvals", { limit: 100 });
    waitingStore.set(new Set(data.map((call) => call.thread.id)));
  } catch {
    // As above.
  }
}

/** List what there is for who is signed in. From then on the feed keeps it right. */
export function startThreads() {
  loadWaiting();
  loadThreads();
}

onFeed((event) => {
  if (event.type === "feed.open") {
    loadWaiting();
    refreshSoon();
  } else if (event.type === "thread.deleted") {
    dropThread(event.thread_id);
  } else if (event.type === "thread.activity") {
    const { waiting, ...changes } = event.thread;
    const known = threadStore.get().items.some((thread) => thread.id === changes.id);
    if (strangers.has(changes.id)) return;
    // Only those that this person sees in the list are counted: an admin hears of all.
    if (known || !session.isAdmin) setWaiting(changes.id, waiting);
    if (known) patchThread(changes.id, changes);
    else heard.add(changes.id);
    refreshSoon();
  }
});

onSessionEnd(() => {
  turn += 1;
  clearTimeout(timer);
  timer = 0;
  heard.clear();
  strangers = new Set();
  threadStore.set(EMPTY);
  waitingStore.set(new Set());
});
