// Signing in by the link that the service prints when it starts: `/#token=…`.
import { api, Problem } from "../api.js";
import { getCredential } from "../credential.js";
import { navigate } from "../router.js";
import { signIn } from "../session.js";

// The name of the key in such a link: app/page_links.py makes it.
const KEY_NAME = "page";
// Another browser may follow the link for so long after the first one.
const GRACE_S = 600;
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/** The token of the address, taken out of it at once: neither the history nor a copied address keeps it. */
function takeToken() {
  const found = /^#token=(.+)$/.exec(location.hash);
  if (!found) return null;
  navigate("/", { replace: true });
  // Elsewhere a stranger's link could sign people in to the stranger's account, who then reads what they write.
  return LOOPBACK.test(location.hostname) ? decodeURIComponent(found[1]) : null;
}

/** Sign in with the token of the address. Throws a `Problem` where it is spent and nobody is signed in. */
export async function signInByLink() {
  const token = takeToken();
  if (!token) return;
  const before = getCredential();
  try {
    await api.get("/me", {}, { credential: token });
  } catch (error) {
    if (error.status !== 401) throw error;
    if (before) return;
    throw new Problem({
      status: 401,
      title: "This link has been used",
      detail: "It is good once. Start the service again for a new one, or sign in with its key.",
    });
  }
  await signIn(await renew(token), { kept: true });
}

/** A new secret for the key of a link, so that the one in the terminal ends. Other keys and tokens stay as they are. */
async function renew(token) {
  const id = idOf(token);
  if (!id) return token;
  try {
    const { data } = await api.get("/keys", { limit: 100 }, { credential: token });
    if (data.find((key) => key.id === id)?.name !== KEY_NAME) return token;
    return (await api.post(`/keys/${id}/rotate`, { grace_s: GRACE_S }, { credential: token })).key;
  } catch (error) {
    if (error.status === 403) return token; // it was renewed already, in another browser
    throw error;
  }
}

/** The id in an API key: 16 bytes in base64url after its scheme. Null for what is no key. */
function idOf(token) {
  const found = /^aia_([\w-]{22})_/.exec(token);
  if (!found) return null;
  const bytes = atob(`${found[1].replaceAll("-", "+").replaceAll("_", "/")}==`);
  const hex = Array.from(bytes, (byte) => byte.charCodeAt(0).toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
