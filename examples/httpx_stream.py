"""Our own routes with httpx2: a thread, a streamed answer, and the same stream resumed after it was cut.

AI_AGENTS_URL=http://127.0.0.1:8000 AI_AGENTS_KEY=<key> python httpx_stream.py <agent's id>
"""

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import httpx2

client = httpx2.Client(
    base_url=os.environ["AI_AGENTS_URL"],
    headers={"authorization": f"Bearer {os.environ['AI_AGENTS_KEY']}"},
    timeout=httpx2.Timeout(10, read=30),  # there is a sign of life every four seconds
)


def events(response: httpx2.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of a stream, each with its id. (`iter_lines` would part a line at U+2028, which JSON may contain.)"""
    for sent in httpx2.EventSource(response):
        yield sent.id, json.loads(sent.data)


thread = client.post("/threads", json={"agent_id": sys.argv[1]}).raise_for_status().json()
with client.stream(
    "POST", f"/threads/{thread['id']}/messages", json={"content": "Hello, how are you?", "stream": True}
) as response:
    response.raise_for_status()
    for last_id, event in events(response):
        if event["type"] == "message.delta":
            print("the first piece:", event["text"])
            run_id = event["run_id"]
            break  # the connection is closed; the run goes on
    else:
        sys.exit("There was no answer.")

path = f"/threads/{thread['id']}/runs/{run_id}/events"
with client.stream("GET", path, headers={"last-event-id": last_id}) as response:
    rest = "".join(event["text"] for _, event in events(response) if event["type"] == "message.delta")
print("the rest:", rest)
