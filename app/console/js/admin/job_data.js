// Background jobs: words for them.

export const KINDS = {
  title: "Title of a thread",
  summarize: "Summary of a thread",
  retention: "Retention",
  erase_user: "Erasing a user",
  webhook: "Telling a webhook",
  index_messages: "Indexing messages for search",
};
