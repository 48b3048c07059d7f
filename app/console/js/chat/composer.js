// Where one writes. Enter sends, Shift+Enter breaks the line; with an input method Enter ends the word first.

import { html, useEffect, useRef, useState } from "../../vendor/preact.js";
import { IconButton } from "../ui/button.js";
import { withSheet } from "../styles.js";
import { Lazy } from "../ui/lazy.js";
import { ACCEPTED, addFiles, fromKept, isUploading, MAX_TEXT, pastedFiles, uploaded } from "./attachments.js";
import { loadDraft, saveDraft } from "./drafts.js";

const loadList = withSheet("details", () => import("./attachments_list.js"));
const SAVE_MS = 250;
const TOUCH = matchMedia("(hover: none) and (pointer: coarse)");
const MODES = [
  { value: "steer", label: "Join now", help: "The agent hears it while it works." },
  { value: "queue", label: "Wait", help: "It is answered after this answer." },
];
const MODE_NAME = "ai-agents.while-busy";

const keptMode = () => (localStorage.getItem(MODE_NAME) === "queue" ? "queue" : "steer");

/** The text and attachments that are kept for a thread, and what changes them. */
function useDraft(user, threadId, given) {
  const [text, setText] = useState(() => given ?? loadDraft(user, threadId).text);
  const [attachments, setAttachments] = useState(() => fromKept(loadDraft(user, threadId).files));
  const timer = useRef(0);
  const latest = useRef({});
  latest.current = { text, files: uploaded(attachments) };
  const save = () => {
    clearTimeout(timer.current);
    saveDraft(user, threadId, latest.current);
  };
  useEffect(() => {
    timer.current = setTimeout(save, SAVE_MS);
    return () => clearTimeout(timer.current);
  }, [text, attachments]);
  useEffect(() => {
    window.addEventListener("pagehide", save);
    return () => {
      window.removeEventListener("pagehide", save);
      save();
    };
  }, []);
  const clear = () => {
    latest.current = { text: "", files: [] };
    setText("");
    setAttachments([]);
    save();
  };
  return { text, setText, attachments, setAttachments, clear };
}

function ModeChoice({ mode, onChange }) {
  return html`<fieldset class="modes">
    <legend class="visually-hidden">When the message counts</legend>
    ${MODES.map(({ value, label, help }) => html`<label key=${value} class="mode" title=${help}>
      <input type="radio" name="while-busy" class="visually-hidden" value=${value} checked=${mode === value} onChange=${() => onChange(value)} />${label}</label>`)}
  </fieldset>`;
}

/**
 * `onSend(text, files, mode)`; `onStop` where a run is under way. `sendable` false: nothing can be sent yet (`hint` says
 * why). `control` gets `{addFiles, focus, setText}`.
 */
export function Composer({ user, threadId = null, onSend, onStop = null, running = false, placeholder = "Message", sendable = true, control, autofocus = true }) {
  const { text, setText, attachments, setAttachments, clear } = useDraft(user, threadId);
  const [mode, setMode] = useState(keptMode);
  const [stopping, setStopping] = useState(false);
  const field = useRef(null);
  const picker = useRef(null);
  const uploading = isUploading(attachments);
  const files = uploaded(attachments);
  const ready = sendable && !uploading && (text.trim() || files.length > 0);

  useEffect(() => {
    if (autofocus && !TOUCH.matches) field.current.focus();
  }, []);
  useEffect(() => setStopping(false), [running]);
  useEffect(() => {
    // Where the browser does not do it by itself (`field-sizing`).
    if (CSS.supports("field-sizing", "content")) return;
    field.current.style.height = "auto";
    field.current.style.height = `${field.current.scrollHeight}px`;
  }, [text]);
  const take = (list) => addFiles([...list], setAttachments);
  if (control) control.current = { addFiles: take, focus: () => field.current.focus(), setText };

  const submit = () => {
    if (!ready) return;
    onSend(text.trim(), files, running ? mode : "queue");
    clear();
    field.current.focus();
  };
  const onKeyDown = (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    if (TOUCH.matches && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    submit();
  };
  const onPaste = (event) => {
    const { selectionStart, selectionEnd, value } = field.current;
    const pasted = pastedFiles(event.clipboardData, MAX_TEXT - value.length + selectionEnd - selectionStart);
    if (!pasted.length) return;
    event.preventDefault();
    take(pasted);
  };
  const choose = (value) => {
    setMode(value);
    localStorage.setItem(MODE_NAME, value);
  };

  return html`<form class="composer" onSubmit=${(event) => {
    event.preventDefault();
    submit();
  }}>
    ${attachments.length > 0 && html`<${Lazy} load=${loadList} attachments=${attachments} onRemove=${(id) => setAttachments((all) => all.filter((each) => each.localId !== id))} />`}
    <textarea ref=${field} class="composer-text" dir="auto" rows="1" aria-label="Message" placeholder=${placeholder} maxlength=${MAX_TEXT} enterkeyhint="send"
      value=${text} onInput=${(event) => setText(event.currentTarget.value)} onKeyDown=${onKeyDown} onPaste=${onPaste}></textarea>
    <div class="composer-row">
      <${IconButton} icon="paperclip" label="Attach files" onClick=${() => picker.current.click()} />
      <input ref=${picker} type="file" multiple hidden accept=${ACCEPTED} aria-label="Files to attach" onChange=${(event) => {
        take(event.currentTarget.files);
        event.currentTarget.value = "";
      }} />
      <span class="grow"></span>
      ${running && text.trim() && html`<${ModeChoice} mode=${mode} onChange=${choose} />`}
      ${running && onStop && html`<${IconButton} class="composer-stop" icon="square" kind="secondary" label="Stop" busy=${stopping} onClick=${() => {
        setStopping(true);
        onStop().finally(() => setStopping(false));
      }} />`}
      ${(!running || ready) && html`<${IconButton} class="composer-send" type="submit" icon="arrow-up" kind="primary" disabled=${!ready}
        label=${uploading ? "Files are still being uploaded" : running && mode === "steer" ? "Send now" : "Send"} />`}
    </div>
  </form>`;
}

/** A place that takes dropped files anywhere in it, and shows that it does; without `onFiles` it takes none. */
export function DropArea({ onFiles, class: more = "", children }) {
  const [over, setOver] = useState(false);
  const depth = useRef(0);
  const hasFiles = (event) => onFiles && event.dataTransfer?.types?.includes("Files");
  const on = {
    onDragEnter: (event) => {
      if (!hasFiles(event)) return;
      depth.current += 1;
      setOver(true);
    },
    onDragLeave: (event) => {
      if (!hasFiles(event)) return;
      depth.current = Math.max(0, depth.current - 1);
      if (!depth.current) setOver(false);
    },
    onDragOver: (event) => hasFiles(event) && event.preventDefault(),
    onDrop: (event) => {
      depth.current = 0;
      setOver(false);
      if (!hasFiles(event)) return;
      event.preventDefault();
      onFiles(event.dataTransfer.files);
    },
  };
  return html`<div class=${`drop-area ${more}`} ...${on}>${children}${over && html`<div class="drop-hint" aria-hidden="true"><span>Drop files to attach them</span></div>`}</div>`;
}
