// The frame of the page: the sidebar, the view of the present route, toasts and questions.
import { html, useEffect, useErrorBoundary, useRef, useState } from "../vendor/preact.js";
import { useRoute } from "./router.js";
import { connectionStore, startFeed } from "./live/feed.js";
import { session } from "./session.js";
import { useStore } from "./signals.js";
import { Sidebar, Topbar } from "./sidebar.js";
import { startThreads, threadStore } from "./threads/thread_store.js";
import { Overlays } from "./ui/overlay.js";
import { Icon } from "./ui/icon.js";
import { Empty, Notice, Spinner } from "./ui/states.js";
import { Toasts } from "./ui/toast.js";
import { toProblem } from "./api.js";

const loaded = new Map();

/** The component of a route, once its module is here. */
function useView(route) {
  const [state, setState] = useState({ route: null, view: null, problem: null });
  useEffect(() => {
    if (!route || loaded.has(route)) return undefined;
    let gone = false;
    route.load().then(
      (module) => {
        loaded.set(route, module.default);
        if (!gone) setState({ route, view: module.default, problem: null });
      },
      (error) => {
        if (!gone) setState({ route, view: null, problem: toProblem(error) });
      },
    );
    return () => {
      gone = true;
    };
  }, [route]);
  if (route && loaded.has(route)) return { view: loaded.get(route), problem: null };
  return state.route === route ? state : { view: null, problem: null };
}

function Nothing() {
  return html`<${Empty} level=${1} icon="search" title="There is nothing at this address" text="It may be mistyped, or not for you."
    action=${{ label: "Go to the start", href: "#/" }} />`;
}

/** Said only where the service has not answered for a while: a short break goes by unseen. */
function Connection() {
  const away = useStore(connectionStore, (state) => state === "away");
  const [online, setOnline] = useState(navigator.onLine);
  useEffect(() => {
    const change = () => setOnline(navigator.onLine);
    window.addEventListener("online", change);
    window.addEventListener("offline", change);
    return () => {
      window.removeEventListener("online", change);
      window.removeEventListener("offline", change);
    };
  }, []);
  const said = !online ? "You are offline. This goes on when you are connected again." : away ? "The service does not answer. Trying again." : "";
  return html`<div role="status">${said && html`<p class="connection"><${Icon} name="wifi-off" size="small" />${said}</p>`}</div>`;
}

/** A view that fails leaves the rest of the page as it is. */
function Guarded({ children }) {
  const [error, reset] = useErrorBoundary((cause) => console.error(cause));
  if (!error) return children;
  return html`<div class="page"><${Notice} problem=${toProblem(error)} action=${{ label: "Show it again", onClick: reset }} /></div>`;
}

function View({ route, params, query }) {
  const { view, problem } = useView(route);
  if (!route || (route.admin && !session.isAdmin)) return html`<${Nothing} />`;
  if (problem) {
    return html`<div class="page"><${Notice} kind="warning" title="This part of the page could not be loaded"
      action=${{ label: "Load the page again", onClick: () => location.reload() }}>The service may have been updated, or you may be offline.<//></div>`;
  }
  if (!view) return html`<${Spinner} />`;
  return html`<${view} params=${params} query=${query} />`;
}

/** The page of who is signed in. */
export function Shell() {
  const { route, params, query, path } = useRoute();
  const main = useRef(null);
  const first = useRef(true);
  const thread = useStore(threadStore, ({ items }) => items.find((each) => path === `/threads/${each.id}`) ?? null);
  const title = thread?.title || (route?.title ?? "Not found");
  useEffect(() => {
    startFeed();
    startThreads();
  }, [session.me.user_id]);
  useEffect(() => {
    document.title = `${title} · AI Agents`;
  }, [title]);
  useEffect(() => {
    // Screen readers go on at the new view. Not at the start, where nobody has moved.
    if (first.current) first.current = false;
    else if (!main.current.contains(document.activeElement)) main.current.focus({ preventScroll: true });
  }, [path]);
  const [closed, setClosed] = useState(() => localStorage.getItem("ai-agents.sidebar") === "closed");
  const close = (value) => {
    setClosed(value);
    localStorage.setItem("ai-agents.sidebar", value ? "closed" : "open");
  };
  return html`
    <a class="skip" href="#main" onClick=${(event) => {
      event.preventDefault();
      main.current.focus();
    }}>Skip to the content</a>
    <div class=${closed ? "app app-sidebar-closed" : "app"}>
      <${Sidebar} onClose=${() => close(true)} />
      <main id="main" class="main" tabindex="-1" ref=${main}>
        <${Topbar} title=${title} onOpen=${() => close(false)} />
        <${Connection} />
        <div class="view"><${Guarded} key=${path}><${View} key=${route?.path} route=${route} params=${params} query=${query} /><//></div>
      </main>
    </div>
    <${Toasts} /><${Overlays} />`;
}
