"""OpenAI's SDK for Python at the door of Responses: one after the other, a function of one's own, a stream that is cut.

OPENAI_BASE_URL=http://127.0.0.1:8000/v1 OPENAI_API_KEY=<key> python openai_responses.py <agent>
"""

import sys
from typing import Any

from openai import OpenAI

client: Any = OpenAI()
agent = sys.argv[1]

# The service remembers what was said.
first = client.responses.create(model=agent, input="My name is Ada.")
second = client.responses.create(input="What is my name?", previous_response_id=first.id)
print("second:", second.output_text)

# A function that runs here. The agent's own tools run in the service, and are items `mcp_call`.
weather = {
    "type": "function",
    "name": "weather",
    "description": "The weather of a town.",
    "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
}
asked = client.responses.create(model=agent, input='/tool weather {"town": "Oslo"}', tools=[weather])
outputs = [
    {"type": "function_call_output", "call_id": item.call_id, "output": "Rain."}
    for item in asked.output
    if item.type == "function_call"
]
print("function:", client.responses.create(input=outputs, previous_response_id=asked.id).output_text)

# In the background. The stream is left after five events, and goes on after the last of them: now, or in a year.
story = client.responses.create(model=agent, input="Tell me a story.", background=True)
seen = []
for event in client.responses.retrieve(story.id, stream=True):
    seen.append(event)
    if len(seen) == 5:
        break
seen += client.responses.retrieve(story.id, stream=True, starting_after=seen[-1].sequence_number)
print("resumed:", "".join(event.delta for event in seen if event.type == "response.output_text.delta"))

# A conversation with things to find it by, and what was said in it.
conversation = client.conversations.create(metadata={"topic": "greetings"})
client.responses.create(model=agent, input="Hello!", conversation=conversation.id)
print("items:", len(client.conversations.items.list(conversation.id).data))
