// Background jobs: words for them, and one of them by its id.

import { api } from "../api.js";

export const KINDS = {
  title: "Title of a thread",
  summarize: "Summary of a thread",
  retention: "Retention",
  erase_user: "Erasing a user",
  webhook: "Telling a webhook",
  index_messages: "Indexing messages for search",
};

// Jobs are listed, not looked up: one that was just made stands among the newest.
const NEWEST = 100;

/** The job, or null where it is not among the newest. */
export async function findJob(jobId) {
  const page = await api.get("/jobs", { limit: NEWEST });
  return page.data.find((job) => job.id === jobId) ?? null;
}
