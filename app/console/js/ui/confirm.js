/** The `confirm` of dialog.js, for what comes with the page: dialogs are loaded when the first one is opened. */
export async function confirm(question) {
  const dialogs = await import("./dialog.js");
  return dialogs.confirm(question);
}
