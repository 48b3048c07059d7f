// The page's one door to Preact (with its hooks) and htm: what they export, and `html` for templates.
import { h } from "./preact.module.js";
import htm from "./htm.module.js";

export * from "./preact.module.js";
export * from "./hooks.module.js";
export const html = htm.bind(h);
