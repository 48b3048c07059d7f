// Our own routes with fetch, in a browser or in Node: a POST whose answer is a stream of events.
//
// AI_AGENTS_URL=http://127.0.0.1:8000 AI_AGENTS_KEY=<key> node fetch_post.mjs <agent's id>

const url = process.env.AI_AGENTS_URL;
const headers = { authorization: `Bearer ${process.env.AI_AGENTS_KEY}`, "content-type": "application/json" };
const post = (path, body) => fetch(url + path, { method: "POST", headers, body: JSON.stringify(body) });

const thread = await (await post("/threads", { agent_id: process.argv[2] })).json();
const response = await post(`/threads/${thread.id}/messages`, { content: "Hello!", stream: true });
const texts = new Map(); // of the answer, by message id
let rest = "";
for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
  const blocks = (rest + piece).split("\n\n");
  rest = blocks.pop();
  for (const block of blocks) {
    const data = block.split("\n").find((line) => line.startsWith("data: "));
    const event = data ? JSON.parse(data.slice(6)) : {};
    if (event.type === "message.delta") texts.set(event.message_id, (texts.get(event.message_id) ?? "") + event.text);
    for (const id of event.discard ?? []) texts.delete(id); // an attempt that came to nothing
    if (event.type === "run.failed") throw new Error(event.problem.detail);
  }
}
console.log("streamed:", [...texts.values()].join("\n"));
