import { html, useEffect, useState } from "../../vendor/preact.js";
import { toast } from "./toast.js";

/** A component that is loaded when it is first shown: `load` imports its module; the rest is for the component. */
export function Lazy({ load, ...props }) {
  const [view, setView] = useState(null);
  useEffect(() => {
    load().then(
      (module) => setView(() => module.default),
      () => toast("This part of the page could not be loaded. Load the page again.", { kind: "danger" }),
    );
  }, []);
  return view && html`<${view} ...${props} />`;
}
