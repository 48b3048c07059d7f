// Files that go with the next message: taken by a button, dropped or pasted, and uploaded at once.

import { api, toProblem } from "../api.js";

export const ACCEPTED = ".png,.jpg,.jpeg,.gif,.webp,.pdf,.docx,.txt,.md,.csv,.json,image/png,image/jpeg,image/gif,image/webp,application/pdf,text/*,application/json";
const MAX_BYTES = 20 * 1024 * 1024;
/** A message has so many characters at most. */
export const MAX_TEXT = 100_000;
let counted = 0;

/** What of the clipboard goes with the message as files: its files, or a text for which there is no `room` in it. */
export function pastedFiles(clipboard, room) {
  const text = clipboard.getData("text/plain");
  if (text.length > room) return [new File([text], "pasted.txt", { type: "text/plain" })];
  const files = [...clipboard.files];
  // Office programs put a picture of a text beside the text.
  const pictured = text.trim() && clipboard.types.includes("text/html") && files.every((file) => file.type.startsWith("image/"));
  return pictured ? [] : files;
}

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
