// A request that a person starts: whether it is under way, what went wrong, and beside which field.

import { html, useState } from "../../vendor/preact.js";
import { otherErrors } from "../ui/fields.js";
import { Notice } from "../ui/states.js";

/**
 * `{run(fn), busy, problem, errors, whenIdle(fn)}`; `errors` has the problem's sentences by the name of their field.
 * `whenIdle(onClose)` closes a dialog only while nothing is under way: the answer may be a secret that comes this once.
 */
export function useRequest() {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const run = async (request) => {
    setBusy(true);
    setProblem(null);
    try {
      await request();
    } catch (failure) {
      setProblem(failure);
    }
    setBusy(false);
  };
  const whenIdle = (close) => () => busy || close();
  return { run, busy, problem, errors: errorsOf(problem), whenIdle };
}

/** `["body", "quirks", "finish_reasons"]` → "quirks.finish_reasons". */
const nameOf = (loc) => (loc[0] === "body" ? loc.slice(1) : loc).join(".");

const errorsOf = (problem) => Object.fromEntries((problem?.errors ?? []).map(({ loc, msg }) => [nameOf(loc), msg]));

/** What went wrong, without what stands beside the fields that are `shown`, by their names. */
export function Failure({ request, shown = [] }) {
  const { problem } = request;
  if (!problem) return null;
  const others = otherErrors(problem, shown);
  const isBesideFields = (problem.errors ?? []).length > 0 && others.length === 0;
  return html`<${Notice} problem=${problem} title=${isBesideFields ? "Something in the form is not right yet" : undefined} errors=${others} />`;
}
