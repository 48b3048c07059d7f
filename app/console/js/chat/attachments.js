// Files that go with the next message: taken by a button, dropped or pasted, and uploaded at once.

import { html } from "../../vendor/preact.js";
import { api, toProblem } from "../api.js";
import { IconButton } from "../ui/button.js";
import { Icon } from "../ui/icon.js";
import { fileSize } from "./words.js";

export const ACCEPTED = ".png,.jpg,.jpeg,.gif,.webp,.pdf,.docx,.txt,.md,.csv,.json,image/png,image/jpeg,image/gif,image/webp,application/pdf,text/*,application/json";
const MAX_BYTES = 20 * 1024 * 1024;
let counted = 0;

/** Uploads these files; `change(make)` changes the list of attachments. */
export function addFiles(files, change) {
  for (const file of files) {
    const id = `new-${++counted}`;
    const set = (values) => change((all) => all.map((each) => (each.localId === id ? { ...each, ...values } : each)));
    const abort = new AbortController();
    const entry = { localId: id, name: file.name || "pasted", size: file.size, share: 0, problem: null, file: null, abort };
    change((all) => [...all, entry]);
    if (file.size > MAX_BYTES) {
      set({ problem: "larger than 20 MB" });
      continue;
    }
    api.upload(file, { onProgress: (share) => set({ share }), signal: abort.signal }).then(
      (made) => set({ file: made, share: 1 }),
      (error) => error.name === "AbortError" || set({ problem: toProblem(error).message }),
    );
  }
}

/** Attachments of a draft that was kept. */
export const fromKept = (files) => files.map((file) => ({ localId: file.id, name: file.filename, size: file.size_bytes, share: 1, problem: null, file }));

export const uploaded = (attachments) => attachments.filter((each) => each.file).map((each) => each.file);

export const isUploading = (attachments) => attachments.some((each) => !each.file && !each.problem);

export function Attachments({ attachments, onRemove }) {
  if (!attachments.length) return null;
  return html`<ul class="attachments" role="list" aria-label="Attachments">
    ${attachments.map((each) => html`<li key=${each.localId} class=${`attachment ${each.problem ? "attachment-refused" : ""}`}>
      <${Icon} name=${each.problem ? "circle-alert" : "file-text"} size="small" />
      <span class="attachment-text"><span class="truncate" dir="auto">${each.name}</span>
        <span class="attachment-state" role=${each.problem ? "alert" : undefined}>${each.problem ?? (each.file ? fileSize(each.size) : `${Math.round(each.share * 100)} %`)}</span></span>
      ${!each.file && !each.problem && html`<progress max="1" value=${each.share} aria-label=${`Upload of ${each.name}`}></progress>`}
      <${IconButton} icon="x" size="small" label=${`Remove ${each.name}`} onClick=${() => {
        each.abort?.abort();
        onRemove(each.localId);
      }} />
    </li>`)}
  </ul>`;
}
