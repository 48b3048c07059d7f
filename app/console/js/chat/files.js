// Files in messages: an icon, a name and a size; pictures as they are.

import { html, useEffect, useState } from "../../vendor/preact.js";
import { send, toProblem } from "../api.js";
import { Icon } from "../ui/icon.js";
import { toast } from "../ui/toast.js";
import { fileSize } from "./words.js";

const pictures = new Map();
const MAX_PICTURES = 40;

/** The address of a picture's bytes in this page. The service wants to know who asks, so <img src> cannot fetch it. */
async function pictureOf(fileId) {
  if (!pictures.has(fileId)) {
    pictures.set(fileId, send("GET", `/files/${fileId}/content`).then((response) => response.blob()).then((blob) => URL.createObjectURL(blob)));
    pictures.get(fileId).catch(() => pictures.delete(fileId));
    if (pictures.size > MAX_PICTURES) {
      const [oldest, made] = pictures.entries().next().value;
      pictures.delete(oldest);
      made.then((url) => URL.revokeObjectURL(url), () => {});
    }
  }
  return pictures.get(fileId);
}

async function download(file) {
  try {
    const response = await send("GET", `/files/${file.file_id}/content`);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await response.blob());
    link.download = file.filename;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  } catch (error) {
    toast(toProblem(error).message, { kind: "danger" });
  }
}

const isPicture = (file) => ["image/png", "image/jpeg", "image/gif", "image/webp"].includes(file.media_type);

/** A file of a message: `{file_id, filename, media_type, size_bytes, deleted}`. */
export default function FileView({ file }) {
  const [picture, setPicture] = useState(null);
  const shown = isPicture(file) && !file.deleted;
  useEffect(() => {
    let gone = false;
    if (shown) pictureOf(file.file_id).then((url) => gone || setPicture(url), () => {});
    return () => {
      gone = true;
    };
  }, [file.file_id]);
  if (file.deleted) return html`<span class="file file-deleted"><${Icon} name="file" /><span class="truncate" dir="auto">${file.filename}</span> deleted</span>`;
  return html`<button type="button" class=${`file ${picture ? "file-picture" : ""}`} onClick=${() => download(file)} title=${`Download ${file.filename}`} aria-label=${`Download ${file.filename}`}>
    ${picture ? html`<img src=${picture} alt=${file.filename} />` : html`<${Icon} name=${shown ? "image" : "file-text"} />
      <span class="file-name truncate" dir="auto">${file.filename}</span><span class="muted">${fileSize(file.size_bytes)}</span>`}
  </button>`;
}
