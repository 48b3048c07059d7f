// The sidebar: where one can go. At phone width it is a drawer over the page.
import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { href, useRoute } from "./router.js";
import { ROUTES } from "./routes.js";
import { session, sessionStore, signOut } from "./session.js";
import { useStore } from "./signals.js";
import { chooseTheme, chosenTheme } from "./theming.js";
import { IconButton } from "./ui/button.js";
import { Icon } from "./ui/icon.js";
import { Menu } from "./ui/menu.js";

const NARROW = matchMedia("(max-width: 799px)");

function Links({ path }) {
  const shown = ROUTES.filter((route) => route.nav && (!route.admin || session.isAdmin));
  const groups = [...new Set(shown.map((route) => route.nav.group ?? ""))];
  return groups.map((group) => html`<div key=${group}>
    ${group && html`<p class="nav-title">${group}</p>`}
    <ul role="list">
      ${shown.filter((route) => (route.nav.group ?? "") === group).map((route) => html`<li key=${route.path}>
        <a class="nav-link" href=${href(route.path)} aria-current=${route.path === path ? "page" : undefined}>
          <${Icon} name=${route.nav.icon} />${route.nav.label}</a></li>`)}
    </ul>
  </div>`);
}

function Account() {
  const { me } = useStore(sessionStore);
  const [theme, setTheme] = useState(chosenTheme);
  const choose = (value) => () => {
    chooseTheme(value);
    setTheme(value);
  };
  return html`<div class="row">
    <span class="grow truncate small" dir="auto" title=${me?.user_id}>${me?.user_id}</span>
    <${Menu} label="Your account" icon="settings" size="small" items=${[
      { label: "Light", icon: "sun", checked: theme === "light", onSelect: choose("light") },
      { label: "Dark", icon: "moon", checked: theme === "dark", onSelect: choose("dark") },
      { label: "As the system", icon: "monitor", checked: theme === "system", onSelect: choose("system") },
      null,
      { label: "API", icon: "code", href: "/docs" },
      { label: "Sign out", icon: "log-out", onSelect: signOut },
    ]} />
  </div>`;
}

function Content({ onClose, closeLabel }) {
  const { route } = useRoute();
  return html`<nav class="sidebar" aria-label="Main">
    <div class="sidebar-head"><span class="sidebar-name grow">AI Agents</span>
      <${IconButton} icon="panel-left" label=${closeLabel} onClick=${onClose} /></div>
    <div class="nav grow"><${Links} path=${route?.path} /></div>
    <div class="sidebar-foot"><${Account} /></div>
  </nav>`;
}

let openDrawer = () => {};

/** The bar above the view, where the sidebar is not shown. */
export function Topbar({ title, onOpen }) {
  return html`<header class="topbar">
    <${IconButton} icon="menu" label="Show the sidebar" onClick=${() => (NARROW.matches ? openDrawer() : onOpen())} />
    <span class="topbar-title truncate">${title}</span>
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
  if (!narrow) return html`<${Content} onClose=${onClose} closeLabel="Hide the sidebar" />`;
  if (!open) return null;
  return html`<dialog ref=${drawer} class="drawer" aria-label="Menu" onClose=${() => setOpen(false)}
    onClick=${(event) => event.target === drawer.current && setOpen(false)}>
    <${Content} onClose=${() => setOpen(false)} closeLabel="Close the menu" />
  </dialog>`;
}
