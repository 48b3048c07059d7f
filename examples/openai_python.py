"""OpenAI's SDK for Python as a client: a whole answer, a stream, a tool of one's own, a conversation.

OPENAI_BASE_URL=http://127.0.0.1:8000/v1 OPENAI_API_KEY=<key> python openai_python.py <agent>
"""

import sys
from typing import Any

from openai import OpenAI

client, agent = OpenAI(), sys.argv[1]

# Whole. Without a conversation's id the messages are all that counts.
answer = client.chat.completions.create(model=agent, messages=[{"role": "user", "content": "Hello!"}])
print("whole:", answer.choices[0].message.content)

# Streamed.
print("streamed: ", end="")
for chunk in client.chat.completions.create(
    model=agent, messages=[{"role": "user", "content": "Hello again!"}], stream=True
):
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()

# A tool that runs here. The agent's own tools run in the service.
weather: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a town.",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
    },
}
messages: list[Any] = [{"role": "user", "content": '/tool weather {"town": "Oslo"}'}]
asked = client.chat.completions.create(model=agent, messages=messages, tools=[weather]).choices[0].message
messages.append(asked.model_dump(exclude_none=True))
for call in asked.tool_calls or []:
    messages.append({"role": "tool", "tool_call_id": call.id, "content": "Rain."})
answer = client.chat.completions.create(model=agent, messages=messages, tools=[weather])
print("tool:", answer.choices[0].message.content)

# A conversation that the service remembers, under any id of one's own.
chat = {"X-Thread-Id": "example"}
for text in ("My name is Ada.", "What is my name?"):
    told = client.chat.completions.with_raw_response.create(
        model=agent, messages=[{"role": "user", "content": text}], extra_headers=chat
    )
    print("thread", told.headers["x-thread-id"], told.parse().choices[0].message.content)
