// The table of views: `{path, title, admin, nav: {label, icon, group} or null, load}`.
// A view's module exports by default a component that gets `{params, query}`. `nav.group` is "" (at the top) or the
// title of a group in the sidebar; `admin` views are shown to admins only.
export const ROUTES = [];
