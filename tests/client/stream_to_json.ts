// Prints what client.ts gets: each event of a message's stream, then those of its thread, as lines of JSON.
// <url> <key> <thread's id> <text>
import { Client } from "./client.ts";

const [url = "", key = "", thread = "", text = ""] = process.argv.slice(2);
const client = new Client(url, () => Promise.resolve(key), { patienceMs: 20_000 });
const print = (from: string, event: object) => console.log(JSON.stringify({ from, ...event }));

async function main(): Promise<void> {
  const watching = new AbortController();
  const watched = (async () => {
    for await (const event of client.streamThread(thread, { after: "0-0", signal: watching.signal })) {
      print("thread", event);
      if (event.type === "run.completed") return;
    }
  })();
  for await (const event of client.stream(thread, text)) print("run", event);
  await watched;
  const upload = await client.upload(new Blob(["# Notes\nSeven.\n"]), "notes.md");
  const run = await client.start(thread, "Read this.", { attachments: [upload.id] });
  for await (const event of client.streamRun(thread, run.id)) if (event.type === "message.completed") print("later", event.message);
  let hits = 0;
  for await (const hit of client.search("Seven")) hits += hit.snippet.marks.length;
  const again = await client.retry(thread, run.id);
  await client.cancel(thread, again.id);
  const roles: string[] = [];
  for await (const message of client.messages(thread)) roles.push(message.role);
  await client.request("GET", "/agents/01985a3e-0000-7000-8000-000000000000").catch((problem) => print("problem", { code: problem.code }));
  const { ticket } = await client.createTicket(thread);
  let seen = 0;
  for await (const _ of new Client(url, ticket).streamRun(thread, run.id)) seen += 1;
  print("end", { roles, seen, hits });
  await client.deleteThread(thread);
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
