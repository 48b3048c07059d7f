// Signing in at an OpenID Connect issuer: authorization code with PKCE (RFC 7636), as a public client.
//
// The page is told of the issuer by the service, in its own <meta>. Where the issuer's endpoints are it says itself
// (OpenID Connect Discovery 1.0). What the service takes is an access token that is a JWT for it, or else the id token.
import { api, Problem, setRenewal } from "../api.js";
import { getCredential, setCredential } from "../credential.js";
import { navigate } from "../router.js";
import { signIn } from "../session.js";

const STATE = "ai-agents.oidc";
// A token that ends so soon is renewed first.
const EARLY_MS = 60_000;
const ANSWER = /[?&]state=/;

/** `{issuer, client_id, audience}`, or null where the service has no issuer for the page. */
export function oidcSettings() {
  const told = document.querySelector('meta[name="ai-agents-oidc"]')?.content;
  return told ? JSON.parse(told) : null;
}

/** Whether the address is an issuer's answer. */
export function isAnswer() {
  return ANSWER.test(location.search) && sessionStorage.getItem(STATE) !== null;
}

const failed = (detail) => new Problem({ code: "sign_in_failed", title: "Signing in did not work", detail });

async function discover({ issuer }) {
  const found = await json(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
  const addresses = [found.authorization_endpoint, found.token_endpoint];
  if (found.issuer !== issuer || !addresses.every((address) => /^https?:\/\//.test(address))) {
    throw failed("The issuer describes itself in a way that is not understood.");
  }
  return found;
}

async function json(address, form) {
  const body = form && new URLSearchParams(Object.entries(form).filter(([, value]) => value !== undefined));
  let answer;
  try {
    answer = await fetch(address, { method: form ? "POST" : "GET", body, credentials: "omit", cache: "no-store" });
  } catch {
    throw failed("The issuer cannot be reached from this browser, or does not allow this page (CORS).");
  }
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(failed(found.error_description ?? found.error ?? `The issuer answered ${answer.status}.`), { refused: found.error });
  return found;
}

const base64url = (bytes) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));
const claimsOf = (jwt) => JSON.parse(atob(jwt.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
const redirectUri = () => `${location.origin}${location.pathname}`;

/** Go to the issuer. The browser comes back to this page, to where one was. */
export async function beginSignIn({ kept }) {
  if (!crypto.subtle) throw failed("Browsers allow this only over HTTPS, or on the machine of the service itself.");
  const settings = oidcSettings();
  const endpoints = await discover(settings);
  const [state, verifier, nonce] = [random(), random(), random()];
  const challenge = base64url(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier)));
  sessionStorage.setItem(STATE, JSON.stringify({ state, verifier, nonce, kept, hash: location.hash }));
  const address = new URL(endpoints.authorization_endpoint);
  const asked = {
    response_type: "code",
    client_id: settings.client_id,
    redirect_uri: redirectUri(),
    scope: endpoints.scopes_supported?.includes("offline_access") && kept ? "openid offline_access" : "openid",
    audience: settings.audience,
    state,
    nonce,
    code_challenge: challenge,
    code_challenge_method: "S256",
  };
  for (const [name, value] of Object.entries(asked)) address.searchParams.set(name, value);
  location.assign(address.href);
}

/** Take the issuer's answer out of the address and sign in by it. Throws a `Problem`. */
export async function finishSignIn() {
  const answer = new URLSearchParams(location.search);
  const begun = JSON.parse(sessionStorage.getItem(STATE));
  sessionStorage.removeItem(STATE);
  history.replaceState(null, "", location.pathname);
  navigate(begun.hash || "/", { replace: true });
  const settings = oidcSettings();
  if (answer.get("state") !== begun.state || (answer.get("iss") ?? settings.issuer) !== settings.issuer) {
    throw failed("This answer is not to the question of this browser. Try again.");
  }
  if (answer.get("error")) throw failed(answer.get("error_description") ?? answer.get("error"));
  const endpoints = await discover(settings);
  const tokens = await json(endpoints.token_endpoint, {
    grant_type: "authorization_code",
    client_id: settings.client_id,
    code: answer.get("code") ?? "",
    code_verifier: begun.verifier,
    redirect_uri: redirectUri(),
  });
  if (tokens.id_token && claimsOf(tokens.id_token).nonce !== begun.nonce) throw failed("The id token is not for this browser.");
  const used = await choose(tokens);
  await signIn(tokens[used], { kind: "oidc", kept: begun.kept, ...renewable(tokens, used) });
}

/** Which of the tokens the service takes. Throws the service's own reason. */
async function choose(tokens) {
  let reason = failed("The issuer gave no token.");
  for (const name of ["access_token", "id_token"]) {
    if (!tokens[name]) continue;
    try {
      await api.get("/me", {}, { credential: tokens[name] });
      return name;
    } catch (error) {
      reason = error.status === 401 ? failed(error.detail) : error;
    }
  }
  throw reason;
}

const renewable = (tokens, used) => ({
  used,
  refresh: tokens.refresh_token ?? null,
  until: claimsOf(tokens[used]).exp * 1000,
});

/** From now on a token that is about to end is renewed before it is used, by one tab for all. */
export function keepRenewed() {
  setRenewal(async () => {
    if (!isEnding()) return;
    if (navigator.locks) await navigator.locks.request("ai-agents.renewal", renew);
    else await renew();
  });
}

function isEnding() {
  const credential = getCredential();
  return credential?.kind === "oidc" && credential.refresh !== null && credential.until - Date.now() < EARLY_MS;
}

async function renew() {
  if (!isEnding()) return; // another tab has done it
  const old = getCredential();
  const settings = oidcSettings();
  try {
    const endpoints = await discover(settings);
    const form = { grant_type: "refresh_token", client_id: settings.client_id, refresh_token: old.refresh };
    const tokens = await json(endpoints.token_endpoint, form);
    if (!tokens[old.used]) return;
    setCredential({ ...old, ...renewable({ refresh_token: old.refresh, ...tokens }, old.used), value: tokens[old.used] }, { quietly: true });
  } catch (error) {
    // The old one may still be good for a moment; when it has ended, the sign-in is shown. A refresh token that was
    // refused is not tried again: its answer may have been lost when the page was left.
    if (error.refused === "invalid_grant") setCredential({ ...old, refresh: null }, { quietly: true });
  }
}
