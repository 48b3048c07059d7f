// AG-UI's own client: an answer that streams, and the conversation as another page finds it.
//
// npm install @ag-ui/client
// AI_AGENTS_URL=http://127.0.0.1:8000 AI_AGENTS_KEY=<key> node ag_ui.mjs <agent's id>

import { HttpAgent } from "@ag-ui/client";

const open = () =>
  new HttpAgent({
    url: `${process.env.AI_AGENTS_URL}/ag-ui/agents/${process.argv[2]}`,
    headers: { Authorization: `Bearer ${process.env.AI_AGENTS_KEY}` },
    threadId: "a chat of my own",
  });

const agent = open();
agent.addMessage({ id: crypto.randomUUID(), role: "user", content: "Hello!" });
await agent.runAgent({}, { onTextMessageContentEvent: ({ event }) => process.stdout.write(event.delta) });
console.log();

const another = open();
await another.runAgent();
console.log("found:", another.messages.map((message) => message.role).join(" "));
