// What agents are called, for views that have their ids alone. Kept while one is signed in.

import { useEffect } from "../../vendor/preact.js";
import { api } from "../api.js";
import { onSessionEnd } from "../session.js";
import { createStore, useStore } from "../signals.js";

// The newest come with one request; of older ones only those that are shown are asked for.
const FIRST = 100;
const MOST_AT_ONCE = 20;

const known = createStore(new Map());
const asked = new Set();
let first = null;

onSessionEnd(() => {
  known.set(new Map());
  asked.clear();
  first = null;
});

const learn = (agents) => known.set((names) => new Map([...names, ...agents]));

function loadFirst() {
  first ??= api.get("/agents", { shared: true, limit: FIRST }).then(
    ({ data }) => learn(data.map(({ id, name }) => [id, name])),
    () => {
      first = null; // asked for again by the next view
    },
  );
  return first;
}

/** An agent that is deleted, or that one does not see, has no name: null. */
async function loadOne(id) {
  try {
    const { name } = await api.get(`/agents/${id}`);
    learn([[id, name]]);
  } catch (problem) {
    if (problem.status === 404) learn([[id, null]]);
    else asked.delete(id);
  }
}

/** Names by ids, of these agents and of the newest. One that is not there yet comes soon; null: there is none to see. */
export function useAgentNames(ids = []) {
  const names = useStore(known);
  const wanted = [...new Set(ids)].filter((id) => id && !names.has(id));
  useEffect(() => {
    let isGone = false;
    loadFirst().then(() => {
      if (isGone) return;
      for (const id of wanted.filter((each) => !known.get().has(each) && !asked.has(each)).slice(0, MOST_AT_ONCE)) {
        asked.add(id);
        loadOne(id);
      }
    });
    return () => {
      isGone = true;
    };
  }, [wanted.join(" ")]);
  return names;
}

/** The choice of an agent as a filter: the newest, and the one that is chosen. */
export function agentOptions(names, chosen) {
  const options = [...names].filter(([, name]) => name !== null).map(([value, label]) => ({ value, label }));
  if (chosen && !names.get(chosen)) options.unshift({ value: chosen, label: "An agent that is not listed" });
  return [{ value: "", label: "All agents" }, ...options];
}
