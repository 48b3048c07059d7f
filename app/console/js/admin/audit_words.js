// The audit log's actions in words.

const WORDS = {
  access: "Used",
  "agent.delete": "Deleted an agent",
  "credentials.delete": "Deleted credentials of a tool",
  "credentials.put": "Set credentials of a tool",
  export: "Exported data",
  "file.delete": "Deleted a file",
  import: "Imported data",
  "key.create": "Made a key",
  "key.delete": "Deleted a key",
  "key.rotate": "Gave a key a new secret",
  "limits.change": "Set limits",
  "provider.change": "Changed a provider",
  "provider.create": "Made a provider",
  "provider.delete": "Deleted a provider",
  "response.delete": "Deleted a response",
  "retention.remove": "Removed what was kept long enough",
  "role.assign": "Gave a role",
  "role.remove": "Took a role away",
  sign_in: "Came without a valid key",
  "thread.delete": "Deleted a chat",
  "token.create": "Made a token",
  "token.delete": "Ended tokens",
  "tool.approve": "Approved a server's tools",
  "tool.change": "Changed a tool",
  "tool.create": "Made a tool",
  "tool.delete": "Deleted a tool",
  "user.erase": "Asked to erase a user",
  "user.erased": "Erased a user",
  "webhook.change": "Changed a webhook",
  "webhook.create": "Made a webhook",
  "webhook.delete": "Deleted a webhook",
  "webhook.retry": "Sent to a webhook again",
};

/** All actions, with their words. */
export const ACTIONS = Object.entries(WORDS).map(([value, label]) => ({ value, label: value === "access" ? "Used what others have" : label }));

const KINDS = {
  agent: ["an agent", "agents"],
  audit: ["the audit log", "the audit log"],
  file: ["a file", "files"],
  job: ["a job", "jobs"],
  key: ["a key", "keys"],
  provider: ["a provider", "providers"],
  role: ["a role", "roles"],
  thread: ["a chat", "chats"],
  token: ["a token", "tokens"],
  tool: ["a tool", "tools"],
  usage: ["usage", "usage"],
  user: ["a user", "users"],
  webhook: ["a webhook", "webhooks"],
};

/** All kinds of resources, with their words. */
export const RESOURCES = Object.entries(KINDS).map(([value, [one]]) => ({ value, label: one.replace(/^(an?|the) /, "") }));

const LOOKING = /^(get|list|search|follow|stream)_/;

/** What was done, such as "Deleted a key", "Looked at chats of all users". */
export function sentenceOf({ action, resource_type: kind, resource_id: id, operation, outcome }) {
  if (action !== "access") return WORDS[action] ?? action;
  const [one, all] = KINDS[kind] ?? ["something", "things"];
  const what = operation === null || LOOKING.test(operation) ? "Looked at" : "Used";
  // What was refused may have been one's own.
  if (id !== null) return outcome === "refused" ? `${what} ${one}` : `${what} ${one} of others`;
  return all.startsWith("the ") ? `${what} ${all}` : `${what} ${all} of all users`;
}

/** Whether something was only looked at, as it may be: most entries are of this kind. */
export const isLook = ({ action, operation, outcome }) => action === "access" && outcome === "done" && operation !== null && LOOKING.test(operation);

/** The operation in words, where the sentence does not say it. */
export const operationOf = ({ action, operation }) => (action === "access" && operation !== null ? operation.replaceAll("_", " ") : "");
