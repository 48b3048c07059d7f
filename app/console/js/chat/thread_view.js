// A thread: `#/threads/:thread_id`, around a message with `?message=`.

import { html, useEffect, useMemo, useRef } from "../../vendor/preact.js";
import { toProblem } from "../api.js";
import { connectionStore, onFeed } from "../live/feed.js";
import { useStore } from "../signals.js";
import { Button } from "../ui/button.js";
import { Lazy } from "../ui/lazy.js";
import { Empty, Notice, Spinner } from "../ui/states.js";
import { toast } from "../ui/toast.js";
import { Icon } from "../ui/icon.js";
import { ChatHeader } from "./chat_header.js";
import { Composer, DropArea } from "./composer.js";
import { activeRun } from "./conversation.js";
import { MessageList } from "./message_list.js";
import { OutboxList } from "./outbox_list.js";
import { rightsOn } from "../threads/rights.js";
import { openThread } from "./thread_session.js";
import { hasOthers, lastRun, turnReader } from "./turns.js";

const loadAnnouncer = () => import("./announcer.js");

function Trouble({ problem, thread }) {
  if (problem.status === 404) return html`<${Empty} level=${1} icon="message-square" title="There is no such chat" text="It may have been deleted, or it is not shared with you." action=${{ label: "Begin a new chat", href: "#/" }} />`;
  return html`<div class="page page-narrow"><${Notice} problem=${problem} action=${{ label: "Try again", onClick: () => thread.open().catch(() => {}) }} /></div>`;
}

/** The key of the answer that can be asked for again: the last run's last one. */
function lastAnswer(conversation, entries) {
  const run = lastRun(conversation);
  return run ? (entries.findLast((entry) => entry.kind === "answer" && entry.runId === run.id && !entry.superseded)?.key ?? null) : null;
}

function Connection({ state }) {
  // The frame of the page says that the service is away.
  const away = useStore(connectionStore, (feed) => feed === "away");
  if (state === "open" || (away && state !== "gone")) return null;
  if (state === "gone") return html`<p class="connection" role="status"><${Icon} name="wifi-off" size="small" />This chat is no longer yours to read.</p>`;
  return html`<p class="connection connection-late" role="status"><span class="spinner spinner-small" aria-hidden="true"></span>Connecting. What is written meanwhile comes afterwards.</p>`;
}

/** The same object as long as the rights are the same, so that what depends on them is not drawn again. */
function useRights(thread) {
  return useMemo(() => rightsOn(thread ?? {}), [thread?.role, thread?.agent_role]);
}

function Conversation({ thread, marked }) {
  const { conversation, connection, loading, problem } = useStore(thread.store);
  const reader = useRef(null);
  reader.current ??= turnReader();
  const composer = useRef(null);
  const list = useRef(null);
  const title = conversation.thread?.title;
  const rights = useRights(conversation.thread);
  useEffect(() => {
    document.title = `${title ?? "Chat"} · AI Agents`;
  }, [title]);
  if (loading === "start") return html`<${Spinner} />`;
  if (problem && !conversation.thread) return html`<${Trouble} problem=${problem} thread=${thread} />`;
  if (conversation.deleted) return html`<${Empty} level=${1} icon="trash" title="This chat was deleted" text="What was in it is gone." action=${{ label: "Begin a new chat", href: "#/" }} />`;
  const entries = reader.current(conversation);
  const run = activeRun(conversation);
  const say = (text, files, mode) => {
    thread.say(text, files, mode);
    list.current?.toEnd(false);
  };
  const stop = () => thread.stop(run.id).catch((error) => toast(toProblem(error).message, { kind: "danger" }));
  return html`<${DropArea} class="chat" onFiles=${rights.write && ((files) => composer.current?.addFiles(files))}>
    <${ChatHeader} conversation=${conversation} rights=${rights} thread=${thread} />
    <${Connection} state=${connection} />
    <${MessageList} entries=${entries} conversation=${conversation} loading=${loading} named=${hasOthers(conversation)} marked=${marked} lastKey=${lastAnswer(conversation, entries)} rights=${rights} thread=${thread} control=${list}>
      ${problem && html`<${Notice} problem=${problem} />`}
      <${OutboxList} conversation=${conversation} thread=${thread} />
    <//>
    <div class="chat-foot">${rights.write
      ? html`<${Composer} user=${thread.me} threadId=${thread.threadId} onSend=${say} running=${Boolean(run)} onStop=${run ? stop : null} control=${composer}
          placeholder=${run?.approvals?.length ? "Approve above, or write what to do otherwise" : "Message"} />`
      : html`<p class="chat-role" role="status"><${Icon} name="info" size="small" /><span class="grow">${rights.reason}</span>
          ${run && rights.change && html`<${Button} size="small" icon="square" onClick=${stop}>Stop<//>`}</p>`}</div>
    <${Lazy} load=${loadAnnouncer} thread=${thread} />
  <//>`;
}

export default function ThreadView({ params, query }) {
  const thread = openThread(params.thread_id);
  useEffect(() => {
    thread.open(query.message).catch(() => {});
    return thread.use();
  }, [thread, query.message]);
  // A thread that was not this person's to read may become so while it is looked at.
  useEffect(
    () =>
      onFeed((event) => {
        if (event.type === "thread.activity" && event.thread.id === thread.threadId) thread.readAgain();
      }),
    [thread],
  );
  return html`<div class="view-full"><${Conversation} key=${params.thread_id} thread=${thread} marked=${query.message ?? null} /></div>`;
}
