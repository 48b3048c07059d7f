// Where the browser keeps the credential, and how its tabs stay in step: docs/decisions tells why.
//
// Kept: in localStorage, for all tabs, until sign-out. Not kept: in sessionStorage, for this tab; a new tab asks the
// open ones for it. A sign-in or sign-out in one tab is told to all.
const PREFIX = "ai-agents.";
const NAME = "ai-agents.credential";
// Other tabs answer within a few milliseconds; nobody waits longer than this for the sign-in form.
const ANSWER_MS = 150;

const listeners = new Set();
const channel = "BroadcastChannel" in window ? new BroadcastChannel("ai-agents.session") : null;
let current = read();

function read() {
  for (const storage of [sessionStorage, localStorage]) {
    try {
      const found = JSON.parse(storage.getItem(NAME));
      if (typeof found?.value === "string") return found;
    } catch {
      storage.removeItem(NAME);
    }
  }
  return null;
}

function write(credential) {
  current = credential;
  sessionStorage.removeItem(NAME);
  localStorage.removeItem(NAME);
  if (credential) (credential.kept ? localStorage : sessionStorage).setItem(NAME, JSON.stringify(credential));
}

function tell(credential, ended = false) {
  for (const listener of [...listeners]) listener(credential, ended);
}

/** The credential `{value, kind: "secret" | "oidc", kept, …}`, or null. */
export function getCredential() {
  return current;
}

/** Keep a credential and tell the other tabs; `quietly` where it is the same session with a new token. */
export function setCredential(credential, { quietly = false } = {}) {
  write(credential);
  channel?.postMessage({ type: quietly ? "renewed" : "set", credential });
}

/**
 * Forget the credential and all that the page has stored, in each tab. `silent` leaves the other tabs as they are. Where
 * it has `ended` by itself, what the person has written stays for when they sign in again.
 */
export function clearCredential({ silent = false, ended = false } = {}) {
  write(null);
  if (silent) return;
  if (!ended) forget((name) => name !== "ai-agents.theme");
  channel?.postMessage({ type: "cleared", ended });
}

/** What others have written at this browser is not for this user. */
export const forgetOthers = (userId) => forget((name) => name.startsWith(`${PREFIX}draft.`) && !name.startsWith(`${PREFIX}draft.${userId}.`));

function forget(isIt) {
  for (const storage of [sessionStorage, localStorage]) {
    for (const name of Object.keys(storage)) {
      if (name.startsWith(PREFIX) && isIt(name)) storage.removeItem(name);
    }
  }
}

/** Call `listener(credential or null, ended)` when another tab signs in or out; `ended`: its credential has ended. */
export function onCredentialOfOtherTabs(listener) {
  listeners.add(listener);
}

/** The credential, if need be asked of the other tabs. */
export async function findCredential() {
  if (current || !channel) return current;
  return new Promise((resolve) => {
    const done = () => {
      channel.removeEventListener("message", hear);
      resolve(current);
    };
    const hear = ({ data }) => {
      if (data.type !== "answer" || current) return;
      write(data.credential);
      done();
    };
    channel.addEventListener("message", hear);
    channel.postMessage({ type: "ask" });
    setTimeout(done, ANSWER_MS);
  });
}

channel?.addEventListener("message", ({ data }) => {
  if (data.type === "ask" && current) channel.postMessage({ type: "answer", credential: current });
  if (data.type === "renewed" && current) write(data.credential);
  if (data.type === "set") {
    if (data.credential.value === current?.value) return;
    write(data.credential);
    tell(data.credential);
  }
  if (data.type === "cleared" && current) {
    write(null);
    tell(null, data.ended);
  }
});
