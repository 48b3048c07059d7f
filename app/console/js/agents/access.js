// Who the user is to agents: the roles of their own.
import { api } from "../api.js";
import { session } from "../session.js";

// A user with more roles than these sees the rest of their agents without a word about their role.
const MOST_ROLES = 2000;

/** Whether the page is signed in with a token for some agents: it talks to them, and sees neither roles nor limits. */
export const isForSomeAgents = () => Object.keys(session.me.limits).length === 0;

/** The user's own roles on things of a kind, by the id of the thing. */
export async function ownRoles(type) {
  const roles = new Map();
  if (isForSomeAgents()) return roles;
  let read = 0;
  for await (const role of api.all("/roles")) {
    if (role.resource_type === type) roles.set(role.resource_id, role);
    if ((read += 1) >= MOST_ROLES) break;
  }
  return roles;
}

/**
 * What the user may do with an agent: `{role, may: "own" | "edit" | "read" | "talk", words}`.
 * A role of everybody's is not listed among one's own: then only saving tells whether one may edit.
 */
export function accessTo(agent, role) {
  const given = role?.role;
  if (!("version" in agent)) return { role, may: "talk", words: "You may talk to it" };
  if (given === "owner") return { role, may: "own", words: "You own it" };
  if (session.isAdmin) return { role, may: "own", words: given === "editor" ? "You edit it" : given ? "Shared with you" : "Of another user" };
  if (given === "editor") return { role, may: "edit", words: "You edit it" };
  if (given) return { role, may: "read", words: "You may read it" };
  return { role, may: "edit", words: "For everybody" };
}
