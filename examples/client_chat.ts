// A chat in the terminal with client.ts: answers as they are written, tools, a tool of this program, approvals.
//
// AI_AGENTS_URL=http://127.0.0.1:8000 AI_AGENTS_KEY=<key> npx tsx client_chat.ts <agent's id> [what to say …]

import { Answer, Client, ServiceProblem } from "./client.ts";

const [agentId = "", ...said] = process.argv.slice(2);
const client = new Client(process.env["AI_AGENTS_URL"] ?? "", process.env["AI_AGENTS_KEY"] ?? "");
const clock = { name: "clock", description: "Tells the year.", parameters: { type: "object", properties: {} } };

async function main(): Promise<void> {
  const thread = await client.createThread(agentId, { title: "From TypeScript" });
  for (const content of said.length ? said : ["Hello!", "/tool clock {}"]) {
    const answer = new Answer();
    try {
      for await (const event of client.stream(thread.id, content, { tools: [clock] })) {
        answer.add(event);
        if (event.type === "message.delta") process.stdout.write(event.text);
        if (event.type === "tool.started") console.error(`[${event.name}]`);
        if (event.type === "run.waiting") {
          for (const call of event.approvals) await client.decide(thread.id, event.run_id, call.tool_call_id, true);
          const results = event.client_calls.map(({ tool_call_id }) => ({ tool_call_id, result: new Date().getFullYear() }));
          if (results.length) await client.giveToolResults(thread.id, event.run_id, results);
        }
      }
      console.log(`\n(${answer.run?.status}, ${answer.run?.usage?.output_tokens} tokens)`);
    } catch (error) {
      if (!(error instanceof ServiceProblem)) throw error;
      console.log(`\n${error.code}: ${error.message}`);
    }
  }
  for await (const message of client.messages(thread.id, { order: "desc" })) {
    console.log("the newest message:", message.role);
    break;
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
