// A small observable store: components draw again when what they select has changed.
import { useEffect, useState } from "../vendor/preact.js";

/** `get()` is the value; `set(next)` takes a value or a function of the old one; `subscribe(listener)` returns its end. */
export function createStore(initial) {
  let value = initial;
  const listeners = new Set();
  return {
    get: () => value,
    set(next) {
      const made = typeof next === "function" ? next(value) : next;
      if (Object.is(made, value)) return;
      value = made;
      for (const listener of [...listeners]) listener(value);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

const whole = (value) => value;

/** What `select` takes out of the store. Draws again only where that is another object or value. */
export function useStore(store, select = whole) {
  const selected = select(store.get());
  const [, draw] = useState(selected);
  useEffect(() => {
    // A function as state would be called, so it goes in a box of its own.
    const update = () => draw(() => select(store.get()));
    update();
    return store.subscribe(update);
  }, [store]);
  return selected;
}
