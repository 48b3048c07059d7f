// The sidebar: where one can go, and the chats. At phone width it is a drawer over the page.
import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { href, navigate, useRoute } from "./router.js";
import { ROUTES } from "./routes.js";
import { session, sessionStore, signOut } from "./session.js";
import { useStore } from "./signals.js";
import { chooseTheme, chosenTheme } from "./theming.js";
import { ThreadList } from "./threads/thread_list.js";
import { waitingStore } from "./threads/thread_store.js";
import { IconButton } from "./ui/button.js";
import { Icon } from "./ui/icon.js";
import { Menu } from "./ui/menu.js";

const NARROW = matchMedia("(max-width: 799px)");
const MAC = /Mac|iP(hone|ad)/.test(navigator.platform);
const SHORTCUTS = { "/": MAC ? "⇧⌘O" : "Ctrl+Shift+O", "/search": MAC ? "⌘K" : "Ctrl+K" };

// What stands above the chats, in this order. All else is behind "Settings", in groups.
const EVERYDAY = ["/", "/search", "/agents", "/approvals"];

const shownRoutes = () => ROUTES.filter((route) => route.nav && (!route.admin || session.isAdmin));
const everyday = () => EVERYDAY.flatMap((path) => shownRoutes().filter((route) => route.path === path));
const managed = () => shownRoutes().filter((route) => !EVERYDAY.includes(route.path));
const groupOf = (route) => route.nav.group || "You";

function Link({ route, current }) {
  const waiting = useStore(waitingStore, (ids) => (route.path === "/approvals" ? ids.size : 0));
  const shortcut = SHORTCUTS[route.path];
  return html`<li>
    <a class="nav-link" href=${href(route.path)} aria-current=${current ? "page" : undefined} title=${shortcut}
      aria-keyshortcuts=${shortcut ? shortcut.replace("Ctrl", "Control").replace("⇧⌘", "Shift+Meta+").replace("⌘", "Meta+") : undefined}>
      <${Icon} name=${route.nav.icon} /><span class="grow">${route.nav.label}</span>
      ${waiting > 0 && html`<span class="badge badge-warning">${waiting}<span class="visually-hidden"> waiting</span></span>`}
    </a>
  </li>`;
}

function Group({ title, routes, path }) {
  return html`<div class="nav">
    ${title && html`<h2 class="nav-title">${title}</h2>`}
    <ul role="list">${routes.map((route) => html`<${Link} key=${route.path} route=${route} current=${route.path === path} />`)}</ul>
  </div>`;
}

/** In place of the chats, where one manages the service. */
function Managed({ path }) {
  const routes = managed();
  const groups = [...new Set(routes.map(groupOf))];
  return html`<div class="grow sidebar-scroll">
    <div class="nav"><a class="nav-link" href="#/"><${Icon} name="arrow-left" />Chats</a></div>
    ${groups.map((group) => html`<${Group} key=${group} title=${group} path=${path} routes=${routes.filter((route) => groupOf(route) === group)} />`)}
  </div>`;
}

/** An issuer's users have its address before their own name. */
const nameOf = (userId) => userId.replace(/^https?:\/\/[^|]*\|/, "");

function Account() {
  const { me } = useStore(sessionStore);
  const [theme, setTheme] = useState(chosenTheme);
  const [first] = managed();
  const choose = (value) => () => {
    chooseTheme(value);
    setTheme(value);
  };
  return html`<div class="sidebar-foot">
    ${first && html`<a class="nav-link" href=${href(first.path)}><${Icon} name="settings" />${session.isAdmin ? "Settings and admin" : "Settings"}</a>`}
    <div class="account">
      <${Icon} name="user" />
      <span class="grow truncate" dir="auto" title=${me?.user_id}>${nameOf(me?.user_id ?? "")}</span>
      <${Menu} label="Your account" icon="ellipsis" size="small" items=${[
        { label: "Light", icon: "sun", checked: theme === "light", onSelect: choose("light") },
        { label: "Dark", icon: "moon", checked: theme === "dark", onSelect: choose("dark") },
        { label: "As the system", icon: "monitor", checked: theme === "system", onSelect: choose("system") },
        null,
        { label: "API", icon: "code", href: "/docs" },
        { label: "Sign out", icon: "log-out", onSelect: signOut },
      ]} />
    </div>
  </div>`;
}

function Content({ onClose, closeLabel }) {
  const { route } = useRoute();
  const managing = managed().includes(route);
  return html`<nav class="sidebar" aria-label="Main">
    <div class="sidebar-head">
      <a class="sidebar-name grow" href="#/">AI Agents</a>
      <${IconButton} icon=${NARROW.matches ? "x" : "panel-left"} label=${closeLabel} onClick=${onClose} />
    </div>
    ${managing
      ? html`<${Managed} path=${route.path} />`
      : html`<${Group} path=${route?.path} routes=${everyday()} /><${ThreadList} />`}
    <${Account} />
  </nav>`;
}

let openDrawer = () => {};

/** The bar above the view, where the sidebar is not shown. */
export function Topbar({ title, onOpen }) {
  return html`<header class="topbar">
    <${IconButton} icon="menu" label="Show the sidebar" onClick=${() => (NARROW.matches ? openDrawer() : onOpen())} />
    <span class="topbar-title truncate grow" dir="auto">${title}</span>
  </header>`;
}

export function Sidebar({ onClose }) {
  const [narrow, setNarrow] = useState(NARROW.matches);
  const [open, setOpen] = useState(false);
  const drawer = useRef(null);
  const { path } = useRoute();
  openDrawer = () => setOpen(true);
  useEffect(() => {
    const change = () => setNarrow(NARROW.matches);
    NARROW.addEventListener("change", change);
    return () => NARROW.removeEventListener("change", change);
  }, []);
  useEffect(() => {
    if (open && narrow) drawer.current.showModal();
  }, [open, narrow]);
  useEffect(() => setOpen(false), [path]);
  useEffect(() => {
    const press = (event) => {
      const command = MAC ? event.metaKey : event.ctrlKey;
      if (!command || event.altKey || event.isComposing || document.querySelector("dialog.dialog[open]")) return;
      const key = event.key.toLowerCase();
      if (key === "k" && !event.shiftKey) navigate("/search");
      else if (key === "o" && event.shiftKey) navigate("/");
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, []);
  if (!narrow) return html`<${Content} onClose=${onClose} closeLabel="Hide the sidebar" />`;
  if (!open) return null;
  return html`<dialog ref=${drawer} class="drawer" aria-label="Menu" onClose=${() => setOpen(false)}
    onClick=${(event) => event.target === drawer.current && setOpen(false)}>
    <${Content} onClose=${() => setOpen(false)} closeLabel="Close the menu" />
  </dialog>`;
}
