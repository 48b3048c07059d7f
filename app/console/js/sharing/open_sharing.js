// Opens the dialog that says who may do what. What it is made of is loaded then.
import { withStyles } from "../styles.js";
import { openOverlay } from "../ui/overlay.js";

const load = withStyles("agents", () => import("./sharing_dialog.js"));

/** Open the dialog for `{resourceType: "agent" | "thread" | "tool" | "provider", resourceId, title, onChange, onLeft}`. */
export async function openSharing(about) {
  const { SharingDialog } = await load();
  openOverlay(SharingDialog, about);
}
