import { h } from "../../vendor/preact.js";
import { createStore, useStore } from "../signals.js";
import { SHAPES } from "../../vendor/lucide.js";

// Icons that point along the line of reading turn round in right-to-left text.
const DIRECTED = new Set(["arrow-left", "arrow-right", "chevron-left", "chevron-right", "corner-down-right", "log-in", "log-out", "send", "panel-left"]);

// The shapes of what the chat shows come with the page, the others when the first of them is drawn.
const more = createStore({});
let asked = null;

function OtherIcon({ name, size }) {
  const others = useStore(more);
  asked ??= import("../../vendor/lucide_more.js").then((module) => more.set(module.SHAPES));
  return drawn(name, size, others[name] ?? []);
}

/** One of Lucide's icons by its name. It is decoration: what carries it has the name. `size` is small, large or none. */
export function Icon({ name, size = "" }) {
  return SHAPES[name] ? drawn(name, size, SHAPES[name]) : h(OtherIcon, { name, size });
}

function drawn(name, size, shape) {
  const classes = ["icon", size && `icon-${size}`, DIRECTED.has(name) && "icon-directed"].filter(Boolean).join(" ");
  return h(
    "svg",
    {
      class: classes,
      viewBox: "0 0 24 24",
      fill: "none",
      stroke: "currentColor",
      "stroke-width": "1.75",
      "stroke-linecap": "round",
      "stroke-linejoin": "round",
      "aria-hidden": "true",
    },
    ...shape.map(([element, attributes]) => h(element, attributes)),
  );
}
