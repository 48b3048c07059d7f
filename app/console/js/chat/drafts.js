// What is typed and not sent, and what was sent and not answered for, kept per thread in this browser.

import { sessionStore } from "../session.js";

const nameOf = (user, thread) => `ai-agents.draft.${user}.${thread ?? "new"}`;

/** `{text, files, outbox}` of a thread, or of the new chat where there is none yet. */
export function loadDraft(user, thread) {
  try {
    const kept = JSON.parse(localStorage.getItem(nameOf(user, thread)));
    return { text: "", files: [], outbox: [], ...kept };
  } catch {
    return { text: "", files: [], outbox: [] };
  }
}

export function saveDraft(user, thread, change) {
  const { me, problem } = sessionStore.get();
  if (me ? me.user_id !== user : !problem) return; // signed out meanwhile; not where the key has only ended
  const next = { ...loadDraft(user, thread), ...change };
  try {
    if (next.text || next.files.length || next.outbox.length) localStorage.setItem(nameOf(user, thread), JSON.stringify(next));
    else localStorage.removeItem(nameOf(user, thread));
  } catch {
    // Without room, or where the browser forbids it, drafts last as long as the page.
  }
}

/** Leave nothing of what was written to the next person at this browser. */
export function forgetDrafts() {
  for (const name of Object.keys(localStorage)) {
    if (/^ai-agents\.(?:draft|last-agent)\./.test(name)) localStorage.removeItem(name);
  }
}
