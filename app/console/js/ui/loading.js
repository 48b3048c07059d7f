import { useCallback, useEffect, useRef, useState } from "../../vendor/preact.js";
import { api, toProblem } from "../api.js";

/** What `fn()` gives: `{data, problem, loading, reload}`. Loaded anew when a value of `deps` changes; old answers are dropped. */
export function useLoad(fn, deps = []) {
  const [state, setState] = useState({ data: null, problem: null, loading: true });
  const turn = useRef(0);
  const load = useCallback(async () => {
    const own = ++turn.current;
    setState((old) => ({ ...old, loading: true }));
    try {
      const data = await fn();
      if (own === turn.current) setState({ data, problem: null, loading: false });
    } catch (error) {
      if (own === turn.current) setState((old) => ({ ...old, problem: toProblem(error), loading: false }));
    }
  }, deps);
  useEffect(() => {
    setState({ data: null, problem: null, loading: true });
    load();
    return () => {
      turn.current += 1;
    };
  }, [load]);
  return { ...state, reload: load };
}

/** A list of the API by its pages: `{items, more, loadMore, problem, loading, reload}`. */
export function usePages(path, query = {}) {
  const text = JSON.stringify(query);
  const [state, setState] = useState({ items: [], next: null, problem: null, loading: true });
  const turn = useRef(0);
  const fetchPage = async (after, before) => {
    const own = ++turn.current;
    setState((old) => ({ ...old, loading: true, problem: null }));
    try {
      const page = await api.get(path, { ...query, after });
      if (own === turn.current) setState({ items: [...before, ...page.data], next: page.next, problem: null, loading: false });
    } catch (error) {
      if (own === turn.current) setState((old) => ({ ...old, problem: toProblem(error), loading: false }));
    }
  };
  useEffect(() => {
    setState({ items: [], next: null, problem: null, loading: true });
    fetchPage(null, []);
    return () => {
      turn.current += 1;
    };
  }, [path, text]);
  return {
    items: state.items,
    more: state.next !== null,
    loading: state.loading,
    problem: state.problem,
    loadMore: () => fetchPage(state.next, state.items),
    reload: () => fetchPage(null, []),
  };
}
