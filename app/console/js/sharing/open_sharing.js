// Opens the dialog that says who may do what. What it is made of is loaded then.
import { withSections } from "../styles.js";
import { openOverlay } from "../ui/overlay.js";

const load = withSections("sharing", () => import("./sharing_dialog.js"));

/** Open the dialog for `{resourceType: "agent" | "thread" | "tool" | "provider", resourceId, title, onChange, onLeft}`. */
export async function openSharing(about) {
  const { SharingDialog } = await load();
  openOverlay(SharingDialog, about);
}
