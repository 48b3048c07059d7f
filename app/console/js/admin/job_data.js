// Background jobs: words for them.

export const KINDS = {
  title: "Title of a chat",
  summarize: "Summary of a chat",
  retention: "Retention",
  erase_user: "Erasing a user",
  webhook: "Telling a webhook",
  index_messages: "Indexing messages for search",
};
