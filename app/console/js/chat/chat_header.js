// The line above a conversation: its title, its agent, and what one can do with it.

import { html, useState } from "../../vendor/preact.js";
import { api, toProblem } from "../api.js";
import { href, navigate } from "../router.js";
import { shareThread } from "../sharing/share_thread.js";
import { titleOf } from "../threads/thread_store.js";
import { IconButton } from "../ui/button.js";
import { confirm } from "../ui/confirm.js";
import { useLoad } from "../ui/loading.js";
import { Menu } from "../ui/menu.js";
import { toast } from "../ui/toast.js";
import { Lazy } from "../ui/lazy.js";

const loadPanel = () => import("../inspector/inspector_panel.js").then(({ loadPanel: load }) => load());

async function remove(thread) {
  const sure = await confirm({ title: "Delete this thread?", text: "Its messages are gone for everybody, and what runs in it is stopped.", action: "Delete", danger: true });
  if (!sure) return;
  try {
    await api.delete(thread.path);
    navigate("/");
  } catch (error) {
    toast(toProblem(error).message, { kind: "danger" });
  }
}

const PREVIEW = 200; // as many characters of a message as the list knows

/** Until it has a title a thread is called by its first message, as in the list. */
function nameOf({ thread, messages, hasOlder }) {
  return titleOf({ title: thread?.title, preview: hasOlder ? "" : messages[0]?.content?.slice(0, PREVIEW) });
}

export function ChatHeader({ conversation, thread }) {
  const [renaming, setRenaming] = useState(false);
  const [inspecting, setInspecting] = useState(false);
  const { title, agent_id: agentId } = conversation.thread ?? {};
  const agent = useLoad(() => (agentId ? api.get(`/agents/${agentId}`) : Promise.resolve(null)), [agentId]);
  return html`<header class="chat-header">
    <h1 class="truncate" dir="auto">${nameOf(conversation)}</h1>
    ${agent.data && html`<a class="chat-agent truncate" dir="auto" href=${href(`/agents/${agentId}`)}>${agent.data.name}</a>`}
    <span class="grow"></span>
    <${IconButton} class="chat-inspect" icon="layers" size="small" label="What the model is sent" aria-expanded=${String(inspecting)} onClick=${() => setInspecting(!inspecting)} />
    <${Menu} label="What to do with the thread" size="small" items=${[
      { label: "Rename", icon: "pencil", onSelect: () => setRenaming(true) },
      { label: "Share", icon: "users", onSelect: () => shareThread(thread.threadId, title) },
      { label: "What the model is sent", icon: "layers", href: href(`/threads/${thread.threadId}/context`) },
      null,
      { label: "Delete", icon: "trash", danger: true, onSelect: () => remove(thread) },
    ]} />
    ${renaming && html`<${Lazy} load=${() => import("./rename_dialog.js")} thread=${thread} title=${title} onClose=${() => setRenaming(false)} />`}
  </header>
  ${inspecting && html`<${Lazy} load=${loadPanel} threadId=${thread.threadId} mark=${conversation.row} onClose=${() => setInspecting(false)} />`}`;
}
