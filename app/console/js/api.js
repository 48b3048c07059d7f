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

export const renewCredential = async () => renewed?.();
export const endSession = (problem) => onUnauthorized(problem);

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

export const unreachable = () =>
  new Problem({
    code: "unreachable",
    title: navigator.onLine ? "The service does not answer" : "You are offline",
    detail: navigator.onLine ? "It may be starting again. Try once more in a moment." : "This goes on when you are connected again.",
  });

export async function problemOf(response) {
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
  if (!credential) await renewCredential();
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

export const api = {
  get: (path, query, options = {}) => read("GET", path, { ...options, query }),
  post: (path, body = {}, options = {}) => read("POST", path, { ...options, body }),
  put: (path, body = {}, options = {}) => read("PUT", path, { ...options, body }),
  patch: (path, body = {}, options = {}) => read("PATCH", path, { ...options, body }),
  delete: (path, query, options = {}) => read("DELETE", path, { ...options, query }),
  /** Upload a file: `upload(file, {onProgress, signal, key})`, see upload.js. */
  upload: async (file, options) => (await import("./upload.js")).upload(file, options),
  all,
};
