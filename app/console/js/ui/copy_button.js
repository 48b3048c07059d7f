import { html, useEffect, useRef, useState } from "../../vendor/preact.js";
import { Button, IconButton } from "./button.js";
import { toast } from "./toast.js";

/** Copies `text` (or what the function `text` gives), and says so. Without `children` it is an icon. */
export function CopyButton({ text, label = "Copy", size = "small", kind = "quiet", children }) {
  const [copied, setCopied] = useState(false);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(typeof text === "function" ? text() : text);
    } catch {
      toast("This browser does not let the page copy.", { kind: "danger" });
      return;
    }
    setCopied(true);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setCopied(false), 1600);
  };
  const said = html`<span class="visually-hidden" role="status">${copied ? "Copied" : ""}</span>`;
  const icon = copied ? "check" : "copy";
  if (children) return html`<${Button} kind=${kind} size=${size} icon=${icon} onClick=${copy}>${children}${said}<//>`;
  return html`<${IconButton} icon=${icon} label=${label} kind=${kind} size=${size} onClick=${copy} />${said}`;
}
