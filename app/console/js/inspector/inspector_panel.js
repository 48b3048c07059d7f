// The context inspector beside the chat: it follows what is said.
import { html, useEffect, useRef } from "../../vendor/preact.js";
import { href } from "../router.js";
import { IconButton } from "../ui/button.js";
import { withSections } from "../styles.js";
import { Inspector } from "./inspector.js";

/** `mark` changes with each row of the thread's log. */
function InspectorPanel({ threadId, mark, onClose }) {
  const title = useRef(null);
  useEffect(() => title.current.focus(), []);
  return html`
    <aside class="inspector-panel" aria-labelledby="inspector-title" onKeyDown=${(event) => event.key === "Escape" && onClose()}>
      <header class="inspector-panel-head">
        <h2 id="inspector-title" class="grow" tabindex="-1" ref=${title}>What the model is sent</h2>
        <${IconButton} icon="external-link" label="Show it as a page" href=${href(`/threads/${threadId}/context`)} />
        <${IconButton} icon="x" label="Close" onClick=${onClose} />
      </header>
      <${Inspector} key=${threadId} threadId=${threadId} mark=${mark} />
    </aside>`;
}

/** The panel's component, once its styles are here. */
export const loadPanel = withSections("inspector", async () => ({ default: InspectorPanel }));
