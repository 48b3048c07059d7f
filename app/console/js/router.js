// Routes in the address's hash: `#/threads/…?message=…`.
import { createStore, useStore } from "./signals.js";
import { withQuery } from "./api.js";
import { ROUTES } from "./routes.js";

const compiled = ROUTES.map((route) => {
  const names = [];
  const pattern = route.path.replace(/:(\w+)/g, (_, name) => {
    names.push(name);
    return "([^/]+)";
  });
  return { route, names, pattern: new RegExp(`^${pattern}$`) };
});

/** `{route (null where there is none), params, query, path}` of a hash. */
export function match(hash) {
  const [path, search = ""] = (hash.replace(/^#/, "") || "/").split("?");
  const query = Object.fromEntries(new URLSearchParams(search));
  for (const { route, names, pattern } of compiled) {
    const found = pattern.exec(path);
    if (!found) continue;
    try {
      const params = Object.fromEntries(names.map((name, index) => [name, decodeURIComponent(found[index + 1])]));
      return { route, params, query, path };
    } catch {
      break; // the path has a lone percent sign
    }
  }
  return { route: null, params: {}, query, path };
}

const current = createStore(match(location.hash));
let guard = null;
let asking = false;

/** `ask()` is asked (a promise of true or false) before the page goes elsewhere; null ends that. */
export function setGuard(ask) {
  guard = ask;
}

window.addEventListener("hashchange", async ({ oldURL }) => {
  const wanted = location.hash;
  if (!guard || match(wanted).path === current.get().path) {
    current.set(match(wanted));
    return;
  }
  // The address stays that of what is shown until there is an answer.
  history.pushState(history.state, "", oldURL);
  if (asking) return;
  asking = true;
  const goes = await guard();
  asking = false;
  if (!goes) return;
  guard = null;
  location.hash = wanted;
});

/** The route that is shown. */
export function useRoute() {
  return useStore(current);
}

/** The route that is shown, outside of components. */
export function getRoute() {
  return current.get();
}

/** The link to a path: `href("/threads/1", {message: "2"})`. */
export function href(path, query) {
  return `#${withQuery(path, query)}`;
}

/** Go to `"#/threads/…"` or `"/threads/…"`. With `replace` the present entry of the history is replaced. */
export function navigate(target, { replace = false } = {}) {
  const hash = target.startsWith("#") ? target : `#${target}`;
  if (!replace) location.hash = hash;
  else {
    history.replaceState(history.state, "", hash);
    current.set(match(hash));
  }
}
