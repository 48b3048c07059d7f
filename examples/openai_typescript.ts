// OpenAI's SDK for TypeScript as a client: a whole answer, a stream, a tool of one's own, a conversation.
//
// npm install openai tsx
// OPENAI_BASE_URL=http://127.0.0.1:8000/v1 OPENAI_API_KEY=<key> npx tsx openai_typescript.ts <agent>

import OpenAI from "openai";

async function main(model: string): Promise<void> {
  const client = new OpenAI();

  const whole = await client.chat.completions.create({ model, messages: [{ role: "user", content: "Hello!" }] });
  console.log("whole:", whole.choices[0].message.content);

  const stream = await client.chat.completions.create({
    model,
    messages: [{ role: "user", content: "Hello again!" }],
    stream: true,
  });
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
  console.log("streamed:", text);

  // A tool that runs here. The agent's own tools run in the service.
  const runner = client.chat.completions.runTools({
    model,
    messages: [{ role: "user", content: '/tool weather {"town": "Oslo"}' }],
    tools: [
      {
        type: "function",
        function: {
          name: "weather",
          description: "The weather of a town.",
          parameters: { type: "object", properties: { town: { type: "string" } } },
          parse: JSON.parse,
          function: async ({ town }: { town: string }) => `Rain in ${town}.`,
        },
      },
    ],
  });
  console.log("tool:", await runner.finalContent());

  // A conversation that the service remembers, under any id of one's own.
  for (const content of ["My name is Ada.", "What is my name?"]) {
    const { data, response } = await client.chat.completions
      .create({ model, messages: [{ role: "user", content }] }, { headers: { "X-Thread-Id": "example" } })
      .withResponse();
    console.log("thread", response.headers.get("x-thread-id"), data.choices[0].message.content);
  }
}

main(process.argv[2]);
