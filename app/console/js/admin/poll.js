// Looking again, for lists of which no stream tells: while the page is seen, and never twice at once.

import { useEffect, useRef } from "../../vendor/preact.js";

/** Call `look()` each `pauseMs`. */
export function usePoll(look, pauseMs) {
  const latest = useRef(look);
  latest.current = look;
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) latest.current();
    }, pauseMs);
    return () => clearInterval(timer);
  }, [pauseMs]);
}
