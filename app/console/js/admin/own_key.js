// The key with which this page is signed in.
import { getCredential, setCredential } from "../credential.js";

/** Whether it is this one. */
export const isHere = (key) => getCredential()?.value.startsWith(key.prefix) ?? false;

/** The page goes on with the key's new secret: the one that it has ends. */
export function goOnWith(secret) {
  setCredential({ ...getCredential(), value: secret });
}
