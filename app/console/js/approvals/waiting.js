// How many calls wait for the user. The navigation shows the number; the inbox lists anew when it may have changed.

import { api } from "../api.js";
import { createStore } from "../signals.js";

// More are not counted one by one.
const MOST_COUNTED = 100;

/** The number of calls that wait; null until it is known. `MOST_COUNTED` means at least so many. */
export const waitingCount = createStore(null);

/** Count anew. A failure leaves the number as it is: the inbox tells of it. */
export async function countWaiting() {
  try {
    const page = await api.get("/approvals", { limit: MOST_COUNTED });
    waitingCount.set(page.data.length);
  } catch {
    // Said where it is asked for.
  }
}

/** The number as the navigation shows it, or nothing. */
export const wordFor = (count) => (count === null || count === 0 ? "" : count >= MOST_COUNTED ? `${MOST_COUNTED}+` : String(count));
