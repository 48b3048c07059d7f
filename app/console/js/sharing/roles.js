// What roles mean, in words.

export const EVERYBODY = "*";
const ON_AGENT = {
  user: { name: "User", help: "May talk to it. Sees its name and description, nothing else." },
  viewer: { name: "Viewer", help: "May talk to it and see all of its settings and versions." },
  editor: { name: "Editor", help: "May also change it." },
  owner: { name: "Owner", help: "May also delete it and say who has which role." },
};
const ON_THREAD = {
  viewer: { name: "Viewer", help: "May read the chat, also as it goes on." },
  editor: { name: "Editor", help: "May also write in it, stop answers, decide on tool calls and rename it. The agent has to be shared, too." },
  owner: { name: "Owner", help: "May also delete it and say who has which role." },
};
const TO_NAME = { user: { name: "May use it", help: "May name it in agents." } };
const WORDS = { agent: ON_AGENT, thread: ON_THREAD, tool: TO_NAME, provider: TO_NAME };

/** The roles that a user may get on a thing of this type. Everybody owns nothing. */
export const rolesOf = (type, userId) => Object.keys(WORDS[type]).filter((role) => role !== "owner" || userId !== EVERYBODY);
export const wordsOf = (type, role) => WORDS[type][role] ?? { name: role, help: "" };
export const nameOf = (userId) => (userId === EVERYBODY ? "Everybody" : userId);

/** What went wrong with a role, plainly. */
export function problemWords(problem) {
  if (problem.code === "last_owner") {
    return { title: "The last owner stays", text: "Without an owner, there would be no person to say who has which role. Make somebody else an owner first." };
  }
  if (problem.status === 403) return { title: "You may not do this", text: problem.detail };
  if (problem.status === 422) return { title: "This role cannot be given", text: problem.errors[0]?.msg ?? problem.detail };
  return { title: problem.title, text: problem.detail };
}
