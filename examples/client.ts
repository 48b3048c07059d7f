// A client of the service in one file, without dependencies: for browsers and for Node from version 20 on.
//
//   const client = new Client("http://127.0.0.1:8000", token);   // a key, a token or a JWT; in a page never a key
//   for await (const event of client.stream(threadId, "Hello!")) if (event.type === "message.delta") show(event.text);
//
// Streams go on after broken connections and restarts of the service, and give each event once. Requests that fail for a
// moment are sent again, and nothing is done twice. docs/client.md tells more of the same client in Python.

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type JsonObject = { [name: string]: Json };

export type Role = "owner" | "editor" | "viewer" | "user";
export interface Agent { id: string; name: string; description: string | null; version?: number; role: Role | null; [field: string]: unknown }
export interface Thread {
  id: string; agent_id: string; title: string | null; summary: string | null; metadata: JsonObject;
  created_at: string; updated_at: string; last_activity_at: string; preview: string | null; message_count: number; running: boolean;
  role: Role | null; agent_role: Role | null;
}
export type Part =
  | { type: "text" | "reasoning"; text: string }
  | { type: "file"; file_id: string; filename: string; media_type: string; size_bytes: number; deleted?: true }
  | { type: "tool_call"; tool_call_id: string; name: string; arguments: JsonObject }
  | { type: "tool_result"; tool_call_id: string; name: string; result: Json; is_error: boolean };
export interface Usage {
  input_tokens: number | null; output_tokens: number | null; cached_input_tokens: number | null;
  reasoning_tokens: number | null; estimated?: true;
}
export interface Cost { currency: "USD"; amount: string; estimated?: boolean }
export interface Message {
  id: string; thread_id: string; run_id: string | null; seq: number | null; role: "user" | "assistant" | "tool"; content: string;
  parts: Part[]; status: "completed" | "incomplete" | "queued"; user_id: string | null; usage: Usage | null; cost: Cost | null;
  metadata: JsonObject; created_at: string; refused?: boolean; superseded?: boolean;
  feedback?: { rating: 1 | -1 | null; comment: string | null };
}
export interface Problem {
  type: string; title: string; status: number; detail: string; code: string; request_id?: string;
  errors?: { loc: (string | number)[]; msg: string }[]; [member: string]: unknown;
}
export interface Run {
  id: string; thread_id: string; agent_id: string; agent_version: number; user_id: string;
  status: "queued" | "running" | "waiting" | "completed" | "failed" | "cancelled"; attempt: number; usage: Usage | null;
  cost: Cost | null; stop_reason: string | null; notices: JsonObject[]; error: Problem | null;
  created_at: string; started_at: string | null; finished_at: string | null;
}
export interface Call { tool_call_id: string; name: string; arguments: JsonObject }
export interface Approval extends Call {
  thread: { id: string; title: string | null }; run_id: string; agent: { id: string; name: string | null };
  requested_at: string; expires_at: string | null;
}
export interface File { id: string; filename: string; media_type: string; size_bytes: number; sha256: string; deleted?: true }
export interface Hit { message: Message; thread: { id: string; title: string | null }; snippet: { text: string; marks: [number, number][] } }

interface InThread { id: string; thread_id: string }
interface InRun extends InThread { run_id: string }
export type RunEvent = InRun & (
  | { type: "run.queued"; position: number }
  | { type: "run.started"; attempt: number; user_message: Message; superseded?: string[] }
  | { type: "message.started"; message_id: string; role: "assistant" }
  | { type: "message.delta" | "reasoning.delta"; message_id: string; text: string; offset: number }
  | { type: "message.completed"; message: Message }
  | ({ type: "tool.started" } & Call)
  | { type: "tool.completed"; tool_call_id: string; name: string; result: Json; is_error: boolean; user_id?: string }
  | { type: "run.waiting"; approvals: (Call & { expires_at: string | null })[]; client_calls: Call[] }
  | { type: "run.retrying"; attempt: number; reason: string; discard: string[] }
  | { type: "guardrail.triggered"; guardrail: string; stage: string; action: string }
  | { type: "run.completed"; run: Run }
  | { type: "run.cancelled"; run: Run; discard: string[] }
  | { type: "run.failed"; run: Run; discard: string[]; problem: Problem });
export type ThreadEvent = RunEvent | (InThread & (
  | { type: "context.compacted"; summary: string; covers_through_seq: number }
  | { type: "thread.updated" | "thread.deleted"; thread: Partial<Thread> & { id: string } }));
/** A hint on one of many threads. `open` stands for a new connection: list the threads then, hints may have been lost. */
export type Hint =
  | { type: "open" }
  | { type: "thread.activity"; thread_id: string; thread: { id: string; title: string | null; last_activity_at: string; running: boolean; waiting: boolean } }
  | { type: "thread.deleted"; thread_id: string; thread: { id: string } };

export type Content = string | ({ type: "text"; text: string } | { type: "file"; file_id: string })[];
export interface MessageOptions {
  attachments?: string[]; metadata?: JsonObject; on_busy?: "reject" | "queue" | "interrupt" | "steer"; overrides?: JsonObject;
  tools?: { name: string; description?: string; parameters?: JsonObject }[];
}
export interface StreamOptions { signal?: AbortSignal }

/** The service refused a request, or a run failed. Decide by `code`. */
export class ServiceProblem extends Error {
  readonly code: string;
  readonly status: number;
  readonly problem: Problem;
  /** Null where trying again is no use. */
  readonly retryAfterS: number | null;

  constructor(problem: Problem, retryAfterS: number | null = null) {
    super(problem.detail);
    this.name = "ServiceProblem";
    this.code = problem.code;
    this.status = problem.status;
    this.problem = problem;
    this.retryAfterS = retryAfterS;
  }
}

/** The service does not answer, or its answer was lost: whether it has done what was asked is not known. */
export class ServiceUnreachable extends Error {
  constructor(cause: unknown) {
    super(`The service does not answer: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = "ServiceUnreachable";
  }
}

/** The fold of a run's events: what to show of an answer while it is written. */
export class Answer {
  readonly texts = new Map<string, string>();
  readonly messages: Message[] = [];
  run: Run | null = null;

  add(event: ThreadEvent): void {
    if ("discard" in event) for (const id of event.discard ?? []) this.texts.delete(id);
    if (event.type === "message.delta") this.texts.set(event.message_id, (this.texts.get(event.message_id) ?? "") + event.text);
    if (event.type === "message.completed" && event.message.role === "assistant") {
      this.texts.set(event.message.id, event.message.content);
      this.messages.push(event.message);
    }
    if ("run" in event) this.run = event.run;
  }

  /** The text of the newest message so far. */
  get text(): string {
    return [...this.texts.values()].at(-1) ?? "";
  }
}

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;
const ANSWER_MS = 60_000;
// There is a sign of life every 4 seconds in a run's stream, every 15 in others.
const SILENCE_OF_RUN_MS = 15_000;
const SILENCE_MS = 45_000;
const ENDS_OF_RUN = ["run.completed", "run.cancelled", "run.failed"];
const AWAY = [502, 503, 504];

interface Source { method: "GET" | "POST"; path: string; body?: unknown; key?: string; lastId?: string; silenceMs: number; ends: string[] }
type Query = { [name: string]: string | number | boolean | null | undefined };
interface Sent { body?: unknown; form?: FormData; query?: Query; headers?: { [name: string]: string }; repeatable?: boolean }

export class Client {
  readonly #url: string;
  readonly #credential: string | (() => string | Promise<string>);
  readonly #patienceMs: number;

  /** `credential` is a key, a token, a JWT, or a function that gives one; one that begins with `tkt_` is a ticket, for streams. */
  constructor(url: string, credential: string | (() => string | Promise<string>), { patienceMs = 60_000 } = {}) {
    this.#url = url.replace(/\/$/, "");
    this.#credential = credential;
    this.#patienceMs = patienceMs;
  }

  createAgent = (fields: { name: string; [field: string]: Json }) => this.#post<Agent>("/agents", fields);
  agents = () => this.list<Agent>("/agents");
  createThread = (agentId: string, fields: { title?: string; metadata?: JsonObject } = {}) =>
    this.#post<Thread>("/threads", { agent_id: agentId, ...fields });
  threads = (query: { agent_id?: string; q?: string; order?: "created" | "activity" } = {}) => this.list<Thread>("/threads", query);
  updateThread = (threadId: string, fields: { title?: string | null; metadata?: JsonObject }) =>
    this.request<Thread>("PATCH", path("threads", threadId), { body: fields });
  deleteThread = (threadId: string) => this.request<void>("DELETE", path("threads", threadId));
  fork = (threadId: string, messageId: string) => this.#post<Thread>(path("threads", threadId, "fork"), { message_id: messageId });
  messages = (threadId: string, query: { order?: "asc" | "desc"; around?: string } = {}) =>
    this.list<Message>(path("threads", threadId, "messages"), query);
  search = (q: string, query: { agent_id?: string; thread_id?: string } = {}) => this.list<Hit>("/search", { q, ...query });
  approvals = () => this.list<Approval>("/approvals");
  run = (threadId: string, runId: string) => this.request<Run>("GET", path("threads", threadId, "runs", runId));
  runs = (threadId: string) => this.list<Run>(path("threads", threadId, "runs"));

  /** Send a message, and return its run at once. */
  start = (threadId: string, content: Content, options: MessageOptions = {}) =>
    this.#post<Run>(path("threads", threadId, "messages"), { content, ...options }, { prefer: "respond-async" });
  /** Let a message join the run that is under way. */
  steer = (threadId: string, content: Content, options: MessageOptions = {}) =>
    this.start(threadId, content, { ...options, on_busy: "steer" });
  retry = (threadId: string, runId: string) =>
    this.#post<Run>(path("threads", threadId, "runs", runId, "retry"), undefined, { prefer: "respond-async" });
  cancel = (threadId: string, runId: string) => this.#post<Run>(path("threads", threadId, "runs", runId, "cancel"), undefined);
  decide = (threadId: string, runId: string, toolCallId: string, approved: boolean, reason?: string) =>
    this.request<Run>("POST", path("threads", threadId, "runs", runId, "approvals"), {
      body: { tool_call_id: toolCallId, approved, reason: reason ?? null },
    });
  giveToolResults = (threadId: string, runId: string, results: { tool_call_id: string; result: Json; is_error?: boolean }[]) =>
    this.request<Run>("POST", path("threads", threadId, "runs", runId, "tool_results"), { body: { results } });
  createTicket = (threadId?: string) =>
    this.#post<{ ticket: string; expires_at: string }>("/tickets", threadId ? { thread_id: threadId } : {});

  upload(content: Blob, filename: string): Promise<File> {
    const form = new FormData();
    form.append("file", content, filename);
    return this.request<File>("POST", "/files", { form, repeatable: true });
  }

  /** Send a message and yield the events of its run. The run goes on if the loop is left. After `run.failed` its problem is thrown. */
  stream(threadId: string, content: Content, options: MessageOptions & StreamOptions = {}): AsyncGenerator<RunEvent, void> {
    const { signal, ...rest } = options;
    const body = { content, ...rest, stream: true };
    const source: Source = {
      method: "POST", path: path("threads", threadId, "messages"), body, key: crypto.randomUUID(),
      silenceMs: SILENCE_OF_RUN_MS, ends: ENDS_OF_RUN,
    };
    return this.#runEvents(source, signal);
  }

  /** The events of a run, from its first or after one of them. */
  streamRun(threadId: string, runId: string, { after, signal }: { after?: string } & StreamOptions = {}): AsyncGenerator<RunEvent, void> {
    const source: Source = {
      method: "GET", path: path("threads", threadId, "runs", runId, "events"), silenceMs: SILENCE_OF_RUN_MS, ends: ENDS_OF_RUN,
      ...(after === undefined ? {} : { lastId: after }),
    };
    return this.#runEvents(source, signal);
  }

  /** All that happens in a thread after an event (`0-0`: from its beginning), without `after` from now on; until it is deleted. */
  async *streamThread(threadId: string, { after, signal }: { after?: string } & StreamOptions = {}): AsyncGenerator<ThreadEvent, void> {
    const source: Source = { method: "GET", path: path("threads", threadId, "events"), silenceMs: SILENCE_MS, ends: ["thread.deleted"] };
    if (after !== undefined) source.lastId = after;
    for await (const event of this.#events(source, signal)) if (event.type !== "open") yield event as ThreadEvent;
  }

  /** Hints on all threads that the user sees, without end. */
  followThreads({ signal }: StreamOptions = {}): AsyncGenerator<Hint, void> {
    return this.#events({ method: "GET", path: "/events", silenceMs: SILENCE_MS, ends: [] }, signal) as AsyncGenerator<Hint, void>;
  }

  /** Send a message and return the last message of its run. Throws where the run fails, or waits for somebody. */
  async send(threadId: string, content: Content, options: MessageOptions & StreamOptions = {}): Promise<Message> {
    const answer = new Answer();
    for await (const event of this.stream(threadId, content, options)) {
      if (event.type === "run.waiting") throw new Error("The run waits: use stream() for agents whose calls wait.");
      answer.add(event);
    }
    const last = answer.messages.at(-1);
    if (last === undefined) throw new Error("The run was cancelled before it had any text.");
    return last;
  }

  /** All items of a list, page by page. */
  async *list<T>(path: string, query: Query = {}): AsyncGenerator<T, void> {
    let after: string | null = null;
    do {
      const page: { data: T[]; next: string | null } = await this.request("GET", path, { query: { limit: 100, ...query, after } });
      yield* page.data;
      after = page.next;
    } while (after !== null);
  }

  /** Any other operation. A POST is sent once, unless it is `repeatable`, which gives it an `Idempotency-Key`. */
  async request<T>(method: string, path: string, sent: Sent = {}): Promise<T> {
    const repeatable = sent.repeatable ?? method !== "POST";
    const headers: { [name: string]: string } = { accept: "application/json", ...sent.headers };
    if (method === "POST" && repeatable) headers["idempotency-key"] = crypto.randomUUID();
    if (sent.body !== undefined) headers["content-type"] = "application/json";
    const patience = new Patience(this.#patienceMs);
    let wasLost = false;
    for (;;) {
      try {
        const body = sent.form ?? (sent.body === undefined ? null : JSON.stringify(sent.body));
        const response = await this.#fetch(path, { method, headers, body, signal: AbortSignal.timeout(ANSWER_MS) }, sent.query);
        const problem = await problemIn(response);
        if (problem !== null && !(wasLost && method === "DELETE" && problem.status === 404)) throw problem;
        const text = problem === null ? await response.text() : "";
        return (text ? JSON.parse(text) : undefined) as T;
      } catch (error) {
        if (error instanceof ServiceProblem) {
          if (error.retryAfterS === null || !(repeatable || [429, 503].includes(error.status))) throw error;
        } else {
          if (!repeatable) throw new ServiceUnreachable(error);
          wasLost = true;
        }
        await patience.wait(error);
      }
    }
  }

  #post<T>(path: string, body: unknown, headers: { [name: string]: string } = {}): Promise<T> {
    return this.request<T>("POST", path, { body, headers, repeatable: true });
  }

  async #fetch(path: string, init: RequestInit & { headers: { [name: string]: string } }, query: Query = {}): Promise<Response> {
    const url = new URL(this.#url + path, globalThis.location?.href);
    for (const [name, value] of Object.entries(query)) if (value != null) url.searchParams.set(name, String(value));
    const credential = typeof this.#credential === "string" ? this.#credential : await this.#credential();
    if (credential.startsWith("tkt_")) url.searchParams.set("ticket", credential);
    else init.headers["authorization"] = `Bearer ${credential}`;
    return fetch(url, init);
  }

  async *#runEvents(source: Source, signal: AbortSignal | undefined): AsyncGenerator<RunEvent, void> {
    for await (const event of this.#events(source, signal)) {
      if (event.type === "open") continue;
      const told = event as RunEvent;
      yield told;
      if (told.type === "run.failed") throw new ServiceProblem(told.problem);
    }
  }

  /** Each event once and in order, whatever becomes of the connections; `open` before those of each connection. */
  async *#events(source: Source, signal: AbortSignal | undefined): AsyncGenerator<ThreadEvent | Hint, void> {
    const patience = new Patience(this.#patienceMs);
    for (;;) {
      let failure: unknown = new Error("the stream ended before its end");
      const cut = new AbortController();
      const stop = () => cut.abort(signal?.reason);
      signal?.throwIfAborted();
      signal?.addEventListener("abort", stop);
      let watch: ReturnType<typeof setTimeout> | undefined;
      const alive = () => {
        clearTimeout(watch);
        watch = setTimeout(() => cut.abort(new Error("silence")), source.silenceMs);
      };
      const began = Date.now();
      try {
        alive();
        const headers: { [name: string]: string } = { accept: "text/event-stream" };
        if (source.body !== undefined) headers["content-type"] = "application/json";
        if (source.key !== undefined) headers["idempotency-key"] = source.key;
        if (source.lastId !== undefined) headers["last-event-id"] = source.lastId;
        const body = source.body === undefined ? null : JSON.stringify(source.body);
        const response = await this.#fetch(source.path, { method: source.method, headers, body, signal: cut.signal, cache: "no-store" });
        const problem = await problemIn(response);
        if (problem !== null) throw problem;
        if (response.status === 204 || response.body === null) return;
        yield { type: "open" };
        for await (const event of eventsOf(response.body, alive)) {
          source = after(source, event as ThreadEvent);
          patience.reset();
          yield event;
          if (source.ends.includes(event.type)) return;
        }
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        if (error instanceof ServiceProblem && error.retryAfterS === null) throw error;
        failure = error;
      } finally {
        clearTimeout(watch);
        signal?.removeEventListener("abort", stop);
        cut.abort();
      }
      if (Date.now() - began > 10_000) patience.reset();
      await patience.wait(failure);
    }
  }
}

class Patience {
  readonly #ms: number;
  #deadline: number | null = null;
  #waitMs = FIRST_WAIT_MS;

  constructor(ms: number) {
    this.#ms = ms;
  }

  reset(): void {
    this.#deadline = null;
    this.#waitMs = FIRST_WAIT_MS;
  }

  /** Wait before the next attempt; throws where the patience is over before it. */
  async wait(error: unknown): Promise<void> {
    const now = Date.now();
    this.#deadline ??= now + this.#ms;
    const asked = error instanceof ServiceProblem ? (error.retryAfterS ?? 0) * 1000 : 0;
    const waitMs = Math.max(asked, this.#waitMs * (0.5 + Math.random() / 2));
    if (now + waitMs > this.#deadline) throw error instanceof ServiceProblem ? error : new ServiceUnreachable(error);
    this.#waitMs = Math.min(this.#waitMs * 2, LONGEST_WAIT_MS);
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

function path(...parts: string[]): string {
  return "/" + parts.map(encodeURIComponent).join("/");
}

/** Where the events after this one come from. */
function after(source: Source, event: ThreadEvent): Source {
  if (source.method === "GET") return event.id ? { ...source, lastId: event.id } : source;
  const { thread_id, run_id } = event as RunEvent;
  return { method: "GET", path: path("threads", thread_id, "runs", run_id, "events"), lastId: event.id, silenceMs: source.silenceMs, ends: source.ends };
}

async function problemIn(response: Response): Promise<ServiceProblem | null> {
  if (response.ok) return null;
  const seconds = response.headers.get("retry-after") ?? "";
  const retryAfterS = /^\d+$/.test(seconds) ? Number(seconds) : null;
  if (response.headers.get("content-type")?.startsWith("application/problem+json")) {
    return new ServiceProblem((await response.json()) as Problem, retryAfterS);
  }
  // Not the service has answered, but something before it.
  const detail = `HTTP ${response.status} ${response.statusText}`;
  const problem = { type: "about:blank", title: detail, status: response.status, detail, code: "unknown" };
  return new ServiceProblem(problem, AWAY.includes(response.status) ? (retryAfterS ?? 0) : retryAfterS);
}

/** The events of a body. One that is cut within is none. The service writes one line of data, and ends lines by LF. */
async function* eventsOf(body: ReadableStream<Uint8Array>, alive: () => void): AsyncGenerator<ThreadEvent | Hint, void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      alive();
      const blocks = (rest + decoder.decode(value, { stream: true })).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        const lines = block.split("\n");
        const found = (name: string) => lines.find((line) => line.startsWith(name))?.slice(name.length);
        const data = found("data: ");
        if (data !== undefined) yield { id: found("id: ") ?? "", ...JSON.parse(data) };
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
