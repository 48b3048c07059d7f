// The table of views: `{path, title, admin, nav: {label, icon, group} or null, load}`.
// A view's module exports by default a component that gets `{params, query}`. `nav.group` is "" (at the top) or the
// title of a group in the sidebar; `admin` views are shown to admins only.
import { withSections, withSheet, withStyles } from "./styles.js";

const admin = (load) => withStyles("admin", load);
const agent = admin(withSections("agent_page", withSheet("agent_form", () => import("./agents/agent_view.js"))));

const work = (label, icon) => ({ label, icon, group: "Work" });
const administration = (label, icon) => ({ label, icon, group: "Administration" });

export const ROUTES = [
  { path: "/", title: "New chat", nav: { label: "New chat", icon: "message-square-plus", group: "" }, load: withSheet("new_chat", () => import("./chat/new_chat.js")) },
  { path: "/threads/:thread_id", title: "Chat", nav: null, load: () => import("./chat/thread_view.js") },
  { path: "/search", title: "Search", nav: { label: "Search", icon: "search", group: "" }, load: withStyles("search", () => import("./threads/search_view.js")) },
  { path: "/agents", title: "Agents", nav: { label: "Agents", icon: "bot", group: "" }, load: withSections("agents", () => import("./agents/agents_view.js")) },
  { path: "/agents/new", title: "New agent", nav: null, load: agent },
  { path: "/agents/:agent_id", title: "Agent", nav: null, load: agent },
  { path: "/threads/:thread_id/context", title: "What the model is sent", nav: null, load: withSections("inspector", () => import("./inspector/context_view.js")) },
  { path: "/settings", title: "Settings", nav: { label: "Settings", icon: "settings", group: "" }, load: admin(withSections("settings", () => import("./settings/settings_view.js"))) },
  { path: "/approvals", title: "Approvals", nav: work("Approvals", "inbox"), load: admin(withSheet("approvals", () => import("./approvals/approvals_view.js"))) },
  { path: "/activity", title: "Activity", nav: work("Activity", "activity"), load: admin(() => import("./admin/runs_view.js")) },
  { path: "/usage", title: "Usage", nav: work("Usage", "chart-column"), load: admin(withSheet("usage", () => import("./usage/usage_view.js"))) },
  { path: "/feedback", title: "Feedback", nav: work("Feedback", "thumbs-up"), load: admin(() => import("./admin/feedback_view.js")) },
  { path: "/webhooks", title: "Webhooks", nav: work("Webhooks", "zap"), load: admin(() => import("./admin/webhooks_view.js")) },
  { path: "/admin/users", title: "Users", admin: true, nav: administration("Users", "users"), load: admin(() => import("./admin/users_view.js")) },
  { path: "/admin/keys", title: "Keys", admin: true, nav: administration("Keys", "key-round"), load: admin(() => import("./admin/keys_view.js")) },
  { path: "/admin/providers", title: "Providers", admin: true, nav: administration("Providers", "cpu"), load: admin(withSheet("providers", () => import("./admin/providers_view.js"))) },
  { path: "/admin/tools", title: "Tools", admin: true, nav: administration("Tools", "wrench"), load: withSections("tools", () => import("./tools/tools_view.js")) },
  { path: "/admin/jobs", title: "Jobs", admin: true, nav: administration("Jobs", "list-checks"), load: admin(() => import("./admin/jobs_view.js")) },
  { path: "/admin/audit", title: "Audit", admin: true, nav: administration("Audit", "scroll-text"), load: admin(() => import("./admin/audit_view.js")) },
];
