// What the person may do with a thread, by the roles that it says they have.
import { session } from "../session.js";

const RANKS = ["user", "viewer", "editor", "owner"];
const NO_AGENT = "You cannot write here: the agent of this chat was deleted, or is not shared with you.";
const NO_EDITOR = "You may read this chat. To write in it, ask its owner for the role Editor.";

/** Whether a role is at least this one. Admins may do everything. */
const has = (role, needed) => session.isAdmin || RANKS.indexOf(role) >= RANKS.indexOf(needed);

/** `{write, change, own, reason}`: send and fork; rename, stop and decide; share and delete. `reason`: why not write. */
export function rightsOn({ role, agent_role: onAgent }) {
  const change = has(role, "editor");
  const write = change && has(onAgent, "user");
  return { write, change, own: has(role, "owner"), reason: write ? "" : change ? NO_AGENT : NO_EDITOR };
}
