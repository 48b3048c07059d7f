// Lists that move as things happen.

import { useEffect, useRef } from "../../vendor/preact.js";
import { onFeed } from "../live/feed.js";

/**
 * Call `reload()` when a hint of the feed says that the list may have changed: soon, and once for a burst of hints.
 * `matters(event)` tells whether it may.
 */
export function useFresh(reload, { matters = () => true, soonMs }) {
  const latest = useRef({});
  latest.current = { reload, matters };
  useEffect(() => {
    let timer = 0;
    const end = onFeed((event) => {
      if (timer || !latest.current.matters(event)) return;
      timer = setTimeout(() => {
        timer = 0;
        latest.current.reload();
      }, soonMs);
    });
    return () => {
      end();
      clearTimeout(timer);
    };
  }, [soonMs]);
}
