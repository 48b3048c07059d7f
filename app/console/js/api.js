// Requests to the service. All throw a `Problem`; a 401 ends the session.
import { getCredential } from "./credential.js";

let onUnauthorized = () => {};
let renewed = null;

/** What is done when the service no longer takes the credential: `session.js` says so. */
export function setOnUnauthorized(callback) {
  onUnauthorized = callback;
}

/** An async function that makes a credential which is about to end a new one before a request. */
export function setRenewal(callback) {
  renewed = callback;
}

/** What went wrong, as the service tells it. `status` is 0 and `code` `unreachable` where there was no answer. */
export class Problem extends Error {
  constructor({ status = 0, code = "", title = "", detail = "", errors = [], requestId = null, retryAfterS = null, body = {} }) {
    super(detail || title || code);
    this.name = "Problem";
    Object.assign(this, { status, code, title, detail, errors, requestId, retryAfterS, body });
  }
}

/** The problem that any thrown value is. */
export function toProblem(error) {
  if (error instanceof Problem) return error;
  return new Problem({ code: "page_error", title: "Something went wrong in this page", detail: String(error?.message ?? error) });
}

/** A key for `Idempotency-Key`: the same one for the same attempt, so that a repeated request changes nothing twice. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The path with its query. Values that are null or undefined are left out. */
export function withQuery(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text ? `${path}?${text}` : path;
}

const unreachable = () =>
  new Problem({
    code: "unreachable",
    title: navigator.onLine ? "The service does not answer" : "You are offline",
    detail: navigator.onLine ? "It may be starting again. Try once more in a moment." : "This goes on when you are connected again.",
  });

async function problemOf(response) {
  let body = {};
  try {
    body = await response.json();
  } catch {
    // A proxy's answer may be any text.
  }
  const after = Number(response.headers.get("retry-after"));
  return new Problem({
    status: response.status,
    code: body.code ?? "",
    title: body.title ?? `The service answered ${response.status}`,
    detail: body.detail ?? "",
    errors: body.errors ?? [],
    requestId: body.request_id ?? response.headers.get("x-request-id"),
    retryAfterS: Number.isFinite(after) && after > 0 ? after : null,
    body,
  });
}

/**
 * One request, its answer as a `Response` with a good status.
 * Options: `query`, `body` (sent as JSON), `form` (a FormData), `key` (Idempotency-Key), `etag` (If-Match), `headers`,
 * `signal`, `credential` (instead of the session's).
 */
export async function send(method, path, { query, body, form, key, etag, headers = {}, signal, credential } = {}) {
  if (renewed && !credential) await renewed();
  const used = credential ?? getCredential()?.value;
  const sent = { accept: "application/json", ...headers };
  if (used) sent.authorization = `Bearer ${used}`;
  if (body !== undefined) sent["content-type"] = "application/json";
  if (key) sent["idempotency-key"] = key;
  if (etag) sent["if-match"] = etag;
  let response;
  try {
    response = await fetch(withQuery(path, query), {
      method,
      headers: sent,
      body: body === undefined ? form : JSON.stringify(body),
      signal,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw unreachable();
  }
  if (response.ok) return response;
  const problem = await problemOf(response);
  if (response.status === 401 && !credential && used === getCredential()?.value) onUnauthorized(problem);
  throw problem;
}

async function read(method, path, options) {
  const response = await send(method, path, options);
  if (response.status === 204) return null;
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}

/** `all(path, query)` yields each entry of a list, over its pages. */
async function* all(path, query = {}) {
  let after = null;
  do {
    const page = await read("GET", path, { query: { limit: 100, ...query, after } });
    yield* page.data;
    after = page.next;
  } while (after);
}

/** Upload a file; `onProgress(share from 0 to 1)`. XMLHttpRequest, since fetch tells nothing of an upload's progress. */
async function upload(file, { onProgress, signal, key = newKey() } = {}) {
  if (renewed) await renewed();
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
        if (problem.status === 401) onUnauthorized(problem);
        reject(problem);
      }
    });
    signal?.addEventListener("abort", () => request.abort());
    const form = new FormData();
    form.append("file", file);
    request.send(form);
  });
}

export const api = {
  get: (path, query, options = {}) => read("GET", path, { ...options, query }),
  post: (path, body = {}, options = {}) => read("POST", path, { ...options, body }),
  put: (path, body = {}, options = {}) => read("PUT", path, { ...options, body }),
  patch: (path, body = {}, options = {}) => read("PATCH", path, { ...options, body }),
  delete: (path, query, options = {}) => read("DELETE", path, { ...options, query }),
  upload,
  all,
};
