// The context of a thread as a view of its own.
import { html } from "../../vendor/preact.js";
import { api } from "../api.js";
import { href } from "../router.js";
import { useLoad } from "../ui/loading.js";
import { Inspector } from "./inspector.js";

export default function ContextView({ params, query }) {
  const thread = useLoad(() => api.get(`/threads/${params.thread_id}`), [params.thread_id]);
  const { provider, model, strategy } = query;
  const asked = Object.entries({ provider, model, strategy }).filter(([, value]) => value);
  return html`
    <div class="page page-narrow">
      <header class="page-head">
        <div>
          <h1>What the model is sent</h1>
          <p class="page-lead" dir="auto"><a href=${href(`/threads/${params.thread_id}`)}>${thread.data?.title ?? "Back to the chat"}</a></p>
        </div>
      </header>
      <${Inspector} key=${params.thread_id} threadId=${params.thread_id} first=${asked.length ? Object.fromEntries(asked) : null} />
    </div>`;
}
