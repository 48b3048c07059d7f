// The state of the form: the draft, what is wrong with it, and what it has that is not saved.
import { useEffect, useMemo, useState } from "../../vendor/preact.js";
import { setGuard } from "../router.js";
import { confirm } from "../ui/dialog.js";
import { canonical, errorAt, toBody, toDraft } from "./draft.js";

/** A copy of `value` in which the field at `path` (keys and indexes) is another. */
export function put(value, path, next) {
  if (!path.length) return next;
  const [key, ...rest] = path;
  const copy = Array.isArray(value) ? [...value] : { ...value };
  copy[key] = put(value?.[key], rest, next);
  return copy;
}

const steps = (path) => path.split(".");
export const read = (value, path) => steps(path).reduce((found, key) => found?.[key], value);

/** A form over an agent, with changes laid over what it has. `start(agent, laidOver)` begins anew. */
export function useForm(agent, { readOnly = false, laidOver = {} } = {}) {
  const [base, setBase] = useState(agent);
  const [draft, setDraft] = useState(() => toDraft({ ...agent, ...laidOver }));
  const [errors, setErrors] = useState({});
  const before = useMemo(() => canonical(toBody(toDraft(base)).body), [base]);
  const now = useMemo(() => toBody(draft), [draft]);
  const unfinished = Object.keys(now.errors).some((path) => path !== "name") || undefined;
  return {
    base,
    draft,
    errors,
    setErrors,
    readOnly,
    body: now.body,
    mistakes: now.errors,
    changed: !readOnly && (Boolean(unfinished) || canonical(now.body) !== before),
    get: (path) => read(draft, path),
    error: (path) => errorAt(errors, path),
    hasError: (path) => errorAt(errors, path) !== "",
    set(path, value) {
      setDraft((current) => put(current, steps(path), value));
      // What is written anew is no mistake until it is checked again.
      setErrors((current) => without(current, path));
    },
    start(next, laidOver = {}) {
      setBase(next);
      setDraft(toDraft({ ...next, ...laidOver }));
      setErrors({});
    },
  };
}

function without(errors, path) {
  const same = (key) => key === path || key.startsWith(`${path}.`) || path.startsWith(`${key}.`) || path.replace(".fields.", ".") === key;
  return Object.keys(errors).some(same) ? Object.fromEntries(Object.entries(errors).filter(([key]) => !same(key))) : errors;
}

/** Ask before one leaves what is not saved. */
export function useUnsavedGuard(unsaved) {
  useEffect(() => {
    if (!unsaved) return undefined;
    const ask = () => confirm({ title: "Leave without saving?", text: "What you changed here is lost.", action: "Leave", danger: true });
    const warn = (event) => event.preventDefault();
    setGuard(ask);
    window.addEventListener("beforeunload", warn);
    return () => {
      setGuard(null);
      window.removeEventListener("beforeunload", warn);
    };
  }, [unsaved]);
}
