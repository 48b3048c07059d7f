// Who is signed in. The store's state is `starting`, `out` (sign-in is shown; `problem` says why, if anything went
// wrong), `in`, or `away` (there is a credential, but the service did not answer yet).
import { api, Problem, setOnUnauthorized, toProblem } from "./api.js";
import { clearCredential, findCredential, forgetOthers, getCredential, onCredentialOfOtherTabs, setCredential } from "./credential.js";
import { createStore } from "./signals.js";

export const sessionStore = createStore({ state: "starting", me: null, problem: null });

const AWAY_MS = 3000;
let retrying = null;

export const session = {
  /** The answer of `GET /me`: `{user_id, admin, limits}`. */
  get me() {
    return sessionStore.get().me;
  },
  get isAdmin() {
    return sessionStore.get().me?.admin ?? false;
  },
  /** The text for `Authorization: Bearer …`, or null. */
  credential: () => getCredential()?.value ?? null,
};

/** Ask who the credential's user is, and show the page or the sign-in. */
export async function refreshSession() {
  clearTimeout(retrying);
  try {
    const me = await api.get("/me");
    sessionStore.set({ state: "in", me, problem: null });
  } catch (error) {
    const problem = toProblem(error);
    if (problem.status === 401) return; // the sign-in is shown already
    if (sessionStore.get().state !== "in") sessionStore.set({ state: "away", me: null, problem });
    retrying = setTimeout(refreshSession, AWAY_MS);
  }
}

/** Find the credential of this browser, and use it. `problem` is why another way to sign in has failed. */
export async function startSession(problem = null) {
  if (await findCredential()) await refreshSession();
  else sessionStore.set({ state: "out", me: null, problem });
}

/** Check a key or token and keep it. Throws a `Problem`, and then changes nothing. */
export async function signIn(value, { kept = false, kind = "secret", ...more } = {}) {
  const me = await api.get("/me", {}, { credential: value }).catch((error) => {
    if (error.status !== 401) throw error;
    throw new Problem({ status: 401, code: error.code, title: "This key is not known", detail: "It may be mistyped, deleted or expired." });
  });
  forgetOthers(me.user_id);
  setCredential({ value, kind, kept, ...more });
  sessionStore.set({ state: "in", me, problem: null });
}

/** End the session in every tab of this browser. */
export function signOut() {
  clearTimeout(retrying);
  clearCredential();
  leave(null);
}

/** Show the sign-in, and drop everything that the page has in memory: it belongs to who was signed in. */
function leave(problem) {
  const before = sessionStore.get().state;
  sessionStore.set({ state: "out", me: null, problem });
  for (const end of endings) end();
  if (before === "in" && !problem) location.hash = "#/";
}

const endings = new Set();

/** Call `end` when the session ends: streams close, caches go. */
export function onSessionEnd(end) {
  endings.add(end);
}

const ENDED = { status: 401, title: "You have been signed out", detail: "The key or token has ended. Sign in to go on." };

setOnUnauthorized((problem) => {
  clearCredential({ ended: true });
  leave(new Problem({ ...problem, ...ENDED }));
});

onCredentialOfOtherTabs((credential, ended) => {
  if (!credential) leave(ended ? new Problem(ENDED) : null);
  else {
    for (const end of endings) end();
    sessionStore.set({ state: "starting", me: null, problem: null });
    refreshSession();
  }
});
