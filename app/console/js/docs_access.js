// What Swagger UI leaves out for the keyboard and for screen readers.

/** A plugin: the name of an operation stands in a button; within it a link would be a control in a control. */
export function plainNames({ React }) {
  const DeepLink = ({ text }) => React.createElement("span", null, text);
  return { components: { DeepLink } };
}

/** Name the controls that have no name, and let the keyboard scroll what scrolls, whenever something is drawn. */
export function labelControls(place) {
  new MutationObserver(() => {
    for (const pre of place.querySelectorAll("pre:not([tabindex])")) pre.tabIndex = 0;
    for (const control of place.querySelectorAll("select, input, textarea")) {
      if (control.labels?.length || control.ariaLabel) continue;
      const row = control.closest("[data-param-name]");
      const name = control.matches("textarea") ? "Body" : "Value";
      control.ariaLabel = row?.dataset.paramName ?? (control.placeholder || name);
    }
    for (const dialog of place.querySelectorAll(".modal-ux:not([role])")) {
      dialog.role = "dialog";
      dialog.ariaModal = "true";
      dialog.ariaLabel = dialog.querySelector("h3")?.textContent ?? "";
    }
    for (const table of place.querySelectorAll("table[role=region]:not([aria-label])")) table.ariaLabel = table.id;
  }).observe(place, { childList: true, subtree: true });
  place.addEventListener("keydown", (event) => {
    if (event.key === "Escape") place.querySelector(".modal-ux .close-modal")?.click();
  });
}
