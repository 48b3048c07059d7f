// Lists that move as things happen.

import { usePoll } from "./poll.js";

const LOOK_AGAIN_MS = 5_000;

/** Call `reload()` now and then, while the page is seen. */
export function useFresh(reload) {
  usePoll(reload, LOOK_AGAIN_MS);
}
