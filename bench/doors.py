"""What a streamed turn costs through the doors of other protocols, against our own stream."""

import re
from typing import Any
from uuid import uuid4

from bench.client import Client, Unexpected, request
from bench.target import Target, all_of

_MODEL = "words-50"
_QUESTION = "What do you know of the sea?"
_AT_ONCE, _TURNS, _ROUNDS = 8, 25, 5
# The end of a stream that is complete.
_ENDS = {
    "own": b"event: run.completed",
    "chat": b"[DONE]",
    "chat_alone": b"[DONE]",
    "responses": b"response.completed",
    "ag_ui": b"RUN_FINISHED",
    "ai_sdk": b'"finish"',
}
_ANSWER = re.compile(rb'"TEXT_MESSAGE_END","messageId":"([^"]+)"')


async def doors(target: Target) -> dict[str, float]:
    """Processor time of a streamed turn of 50 tokens: our own stream and each door in turns, in threads of their own.

    `chat_alone` is a chat completion without a conversation: each makes a thread of its own.
    """
    threads = {name: await target.threads(_MODEL, _AT_ONCE) for name in _ENDS}
    agent_id = await target.agent(_MODEL)
    clients = [await Client.connect(target.service.port) for _ in range(_AT_ONCE)]
    cpu_s = dict.fromkeys(_ENDS, 0.0)
    # A client of AG-UI sends what it has: at least the last answer, without which it is shown the whole history.
    answered: dict[str, str] = {}

    async def run(name: str, client: Client, thread_id: str) -> None:
        for _ in range(_TURNS):
            message = _request(name, target.key, agent_id, thread_id, answered.get(thread_id))
            answer = await client.send(message)
            if found := _ANSWER.search(answer.tail):
                answered[thread_id] = found[1].decode()
            if answer.status != 200 or _ENDS[name] not in answer.tail:
                raise Unexpected(f"a turn failed: {answer.status} {answer.tail[-2000:].decode()}")

    for number in range(_ROUNDS + 1):
        for name in _ENDS:
            before = target.service.cpu_s()
            await all_of([run(name, *each) for each in zip(clients, threads[name], strict=True)])
            # The first round is to warm up.
            cpu_s[name] += target.service.cpu_s() - before if number else 0.0
    for client in clients:
        client.close()
    turns = _ROUNDS * _AT_ONCE * _TURNS
    found = {f"doors_{name}_cpu_ms_per_turn": spent / turns * 1000 for name, spent in cpu_s.items()}
    return found | {f"doors_{name}_ratio": spent / cpu_s["own"] for name, spent in cpu_s.items() if name != "own"}


def _request(name: str, key: str, agent_id: str, thread_id: str, answered: str | None) -> bytes:
    messages = [{"role": "user", "content": _QUESTION}]
    # Their clients give each message an id, by which it is known again.
    said = {"id": str(uuid4()), "role": "user"}
    before = [] if answered is None else [{"id": answered, "role": "assistant", "content": "Words."}]
    bodies: dict[str, tuple[str, dict[str, Any]]] = {
        "own": (f"/threads/{thread_id}/messages", {"content": _QUESTION}),
        "chat": ("/v1/chat/completions", {"messages": messages, "metadata": {"thread_id": thread_id}}),
        "chat_alone": ("/v1/chat/completions", {"messages": messages}),
        "responses": ("/v1/responses", {"input": _QUESTION, "conversation": thread_id}),
        "ag_ui": (
            f"/ag-ui/agents/{agent_id}",
            {"threadId": thread_id, "runId": said["id"], "messages": [*before, {**said, "content": _QUESTION}]},
        ),
        "ai_sdk": (
            f"/ai-sdk/threads/{thread_id}",
            {"messages": [{**said, "parts": [{"type": "text", "text": _QUESTION}]}]},
        ),
    }
    path, body = bodies[name]
    if path.startswith("/v1/"):
        body |= {"model": agent_id, "stream": True}
    return request("POST", path, key=key, body=body, accept="text/event-stream")
