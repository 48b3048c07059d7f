// What the user may do with agents.
import { session } from "../session.js";

/** Whether the page is signed in with a token for some agents: it talks to them, and sees neither roles nor limits. */
export const isForSomeAgents = () => Object.keys(session.me.limits).length === 0;

/** What the user may do with an agent, by the role that it says they have: `{role, may: "own" | "edit" | "read" | "talk", words}`. */
export function accessTo({ role }) {
  if (role === "owner") return { role, may: "own", words: "You own it" };
  if (session.isAdmin) return { role, may: "own", words: role === "editor" ? "You edit it" : role ? "Shared with you" : "Of another user" };
  if (role === "editor") return { role, may: "edit", words: "You edit it" };
  return role === "viewer" ? { role, may: "read", words: "You may read it" } : { role, may: "talk", words: "You may talk to it" };
}
