// Our own routes with fetch, in a browser or in Node: a POST whose answer is a stream of events.
//
// AI_AGENTS_URL=http://127.0.0.1:8000 AI_AGENTS_KEY=<key> node fetch_post.mjs <agent's id>

const url = process.env.AI_AGENTS_URL;
const headers = { authorization: `Bearer ${process.env.AI_AGENTS_KEY}`, "content-type": "application/json" };
const post = (path, body) => fetch(url + path, { method: "POST", headers, body: JSON.stringify(body) });

const thread = await (await post("/threads", { agent_id: process.argv[2] })).json();
const response = await post(`/threads/${thread.id}/messages`, { content: "Hello!", stream: true });
let text = "";
let rest = "";
for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
  const blocks = (rest + piece).split("\n\n");
  rest = blocks.pop();
  for (const block of blocks) {
    const data = block.split("\n").find((line) => line.startsWith("data: "));
    const event = data ? JSON.parse(data.slice(6)) : {};
    if (event.type === "message.delta") text += event.text;
    if (event.type === "run.failed") throw new Error(event.problem.detail);
  }
}
console.log("streamed:", text);
