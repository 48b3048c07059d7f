import { html, useLayoutEffect, useRef } from "../../vendor/preact.js";
import { MarkdownView } from "./markdown.js";

/** Markdown that may still be growing. */
export function MarkdownText({ text, done }) {
  const root = useRef(null);
  const view = useRef(null);
  useLayoutEffect(() => {
    view.current ??= new MarkdownView(root.current);
    view.current.update(text, done);
  }, [text, done]);
  return html`<div class="markdown" dir="auto" ref=${root}></div>`;
}
