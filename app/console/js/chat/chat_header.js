// The line above a conversation: its title, its agent, and what one can do with it.

import { html, useState } from "../../vendor/preact.js";
import { api } from "../api.js";
import { href } from "../router.js";
import { session } from "../session.js";
import { shareThread } from "../sharing/share_thread.js";
import { titleOf } from "../threads/thread_store.js";
import { IconButton } from "../ui/button.js";
import { useLoad } from "../ui/loading.js";
import { Menu } from "../ui/menu.js";
import { Lazy } from "../ui/lazy.js";

const loadPanel = () => import("../inspector/inspector_panel.js").then(({ loadPanel: load }) => load());

const remove = async (thread) => (await import("../threads/thread_actions.js")).deleteThread(thread);

const PREVIEW = 200; // as many characters of a message as the list knows

/** Until it has a title a thread is called by its first message, as in the list. */
function nameOf({ thread, messages, hasOlder }) {
  return titleOf({ title: thread?.title, preview: hasOlder ? "" : messages[0]?.content?.slice(0, PREVIEW) });
}

export function ChatHeader({ conversation, rights, thread }) {
  const [renaming, setRenaming] = useState(false);
  const [inspecting, setInspecting] = useState(false);
  const { title, agent_id: agentId, agent_role: role } = conversation.thread ?? {};
  const mayAsk = Boolean(agentId && (role || session.isAdmin));
  const agent = useLoad(() => (mayAsk ? api.get(`/agents/${agentId}`) : Promise.resolve(null)), [agentId, mayAsk]);
  return html`<header class="chat-header">
    <h1 class="truncate" dir="auto">${nameOf(conversation)}</h1>
    ${agent.data && html`<a class="chat-agent truncate" dir="auto" href=${href(`/agents/${agentId}`)}>${agent.data.name}</a>`}
    <span class="grow"></span>
    <${IconButton} class="chat-inspect" icon="layers" size="small" label="What the model is sent" aria-expanded=${String(inspecting)} onClick=${() => setInspecting(!inspecting)} />
    <${Menu} label="What to do with the chat" size="small" items=${[
      rights.change && { label: "Rename", icon: "pencil", onSelect: () => setRenaming(true) },
      { label: rights.own ? "Share" : "Your role", icon: "users", onSelect: () => shareThread(thread.threadId, title) },
      { label: "What the model is sent", icon: "layers", href: href(`/threads/${thread.threadId}/context`) },
      ...(rights.own ? [null, { label: "Delete", icon: "trash", danger: true, onSelect: () => remove(conversation.thread) }] : []),
    ]} />
    ${renaming && html`<${Lazy} load=${() => import("./rename_dialog.js")} thread=${thread} title=${title} onClose=${() => setRenaming(false)} />`}
  </header>
  ${inspecting && html`<${Lazy} load=${loadPanel} threadId=${thread.threadId} mark=${conversation.row} onClose=${() => setInspecting(false)} />`}`;
}
