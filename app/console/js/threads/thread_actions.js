// What one does to a thread of the list: rename and delete. Loaded when it is done.
import { html, useLayoutEffect, useRef } from "../../vendor/preact.js";
import { api, toProblem } from "../api.js";
import { getRoute, navigate } from "../router.js";
import { confirm } from "../ui/dialog.js";
import { toast } from "../ui/toast.js";
import { dropThread, loadThreads, patchThread, titleOf } from "./thread_store.js";

/** The field for another name. */
export default function Rename({ thread, onDone }) {
  const box = useRef(null);
  const done = useRef(false);
  useLayoutEffect(() => {
    // Not as a property: the list is drawn again as things happen, and would take back what has been typed.
    box.current.value = thread.title ?? "";
    box.current.focus();
    box.current.select();
  }, []);
  const save = async (title) => {
    if (done.current) return;
    done.current = true;
    onDone();
    if (!title.trim() || title.trim() === thread.title) return;
    const before = thread.title;
    patchThread(thread.id, { title: title.trim() });
    try {
      await api.patch(`/threads/${thread.id}`, { title: title.trim() });
    } catch (error) {
      patchThread(thread.id, { title: before });
      toast(`The name was not changed. ${toProblem(error).message}`, { kind: "danger" });
    }
  };
  const onKeyDown = (event) => {
    if (event.isComposing) return;
    if (event.key === "Enter") save(box.current.value);
    else if (event.key === "Escape") {
      done.current = true;
      onDone();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return html`<input ref=${box} class="input thread-rename" aria-label="Name of the chat" dir="auto" maxlength="200"
    onKeyDown=${onKeyDown} onBlur=${(event) => save(event.currentTarget.value)} />`;
}

/** Ask, and delete the thread. */
export async function deleteThread(thread) {
  const sure = await confirm({
    title: "Delete this chat?",
    text: html`<span dir="auto">“${titleOf(thread)}”</span> and its messages are deleted for everyone who can see them.`,
    action: "Delete",
    danger: true,
  });
  if (!sure) return;
  dropThread(thread.id);
  if (getRoute().params.thread_id === thread.id) navigate("/");
  try {
    await api.delete(`/threads/${thread.id}`);
    toast("The chat is deleted.");
  } catch (error) {
    loadThreads();
    if (error.status !== 404) toast(`The chat was not deleted. ${toProblem(error).message}`, { kind: "danger" });
  }
}
