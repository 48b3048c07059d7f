import { navigate } from "../router.js";

// The dialog of who may do what with a thread. What it is made of is loaded then.
export const shareThread = (id, title) =>
  import("./open_sharing.js").then(({ openSharing }) => openSharing({ resourceType: "thread", resourceId: id, title: title ?? "", onLeft: () => navigate("/") }));
