// Looking again, for lists of which no stream tells: while the page is seen, and never twice at once.

import { useEffect, useRef } from "../../vendor/preact.js";

const PAUSE_MS = 10_000;

export function usePoll(look) {
  const latest = useRef(look);
  latest.current = look;
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) latest.current();
    }, PAUSE_MS);
    return () => clearInterval(timer);
  }, []);
}
