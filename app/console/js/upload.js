// Uploads, with how far they are.
import { endSession, newKey, problemOf, renewCredential, unreachable } from "./api.js";
import { getCredential } from "./credential.js";

/** Upload a file; `onProgress(share from 0 to 1)`. XMLHttpRequest, since fetch tells nothing of an upload's progress. */
export async function upload(file, { onProgress, signal, key = newKey() } = {}) {
  await renewCredential();
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/files");
    request.setRequestHeader("authorization", `Bearer ${getCredential()?.value}`);
    request.setRequestHeader("idempotency-key", key);
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) onProgress?.(event.loaded / event.total);
    });
    request.addEventListener("error", () => reject(unreachable()));
    request.addEventListener("abort", () => reject(new DOMException("Aborted", "AbortError")));
    request.addEventListener("load", async () => {
      const headers = { "x-request-id": request.getResponseHeader("x-request-id") ?? "" };
      const after = request.getResponseHeader("retry-after");
      if (after) headers["retry-after"] = after;
      const response = new Response(request.responseText, { status: request.status, headers });
      if (response.ok) resolve(await response.json());
      else {
        const problem = await problemOf(response);
        if (problem.status === 401) endSession(problem);
        reject(problem);
      }
    });
    signal?.addEventListener("abort", () => request.abort());
    const form = new FormData();
    form.append("file", file);
    request.send(form);
  });
}
