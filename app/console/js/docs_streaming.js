// Streams in the operations page: their events are shown as they come, until the stream ends, "Clear" or another request.
const EVENT_STREAM = "text/event-stream";
const BETWEEN_MS = 200;

/** A plugin of Swagger UI. It waits for whole answers by itself, which some streams never have. */
export function streaming() {
  const open = new Map(); // AbortControllers by operation

  function stop(path, method) {
    open.get(`${method} ${path}`)?.abort();
    open.delete(`${method} ${path}`);
  }

  return {
    statePlugins: {
      spec: {
        wrapActions: {
          executeRequest: (execute, system) => (request) => {
            const { pathName, method } = request;
            stop(pathName, method);
            const cut = new AbortController();
            open.set(`${method} ${pathName}`, cut);
            const tell = (answer) => system.specActions.setResponse(pathName, method, answer);
            return execute({ ...request, userFetch: (url, init) => follow(url, init, cut.signal, tell) });
          },
          clearResponse: (clear) => (path, method) => {
            stop(path, method);
            return clear(path, method);
          },
        },
      },
    },
  };
}

/** The answer. Of a stream it tells again and again what has come so far. */
async function follow(url, init, signal, tell) {
  const began = performance.now();
  const response = await fetch(url, { ...init, signal });
  if (!response.body || !response.headers.get("content-type")?.startsWith(EVENT_STREAM)) return response;
  const headers = Object.fromEntries(response.headers);
  const decoder = new TextDecoder();
  let text = "";
  let told = 0;
  let timer = null;
  const show = () => {
    timer = null;
    told = performance.now();
    const duration = Math.round(told - began);
    tell({ url, status: response.status, statusText: response.statusText, ok: true, headers, text, data: text, duration });
  };
  const reader = response.body.getReader();
  try {
    show();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      text += decoder.decode(value, { stream: true });
      timer ??= setTimeout(show, Math.max(0, told + BETWEEN_MS - performance.now()));
    }
  } catch (error) {
    clearTimeout(timer);
    // Cleared: there is nothing to be shown any more, so that this answer never comes.
    if (signal.aborted) return new Promise(() => {});
    text += `\n: the stream broke off (${error.message})\n`;
  }
  clearTimeout(timer);
  return new Response(text, { status: response.status, statusText: response.statusText, headers: response.headers });
}
