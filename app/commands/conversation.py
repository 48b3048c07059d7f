"""A terminal client: it talks to a running service over HTTP and prints answers as they arrive."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import httpx

_AGENT = "assistant"


class ChatError(Exception):
    """The service refused a request, or does not answer. The message is for the person at the terminal."""


def chat(url: str, *, key: str, agent_id: str | None, thread_id: str | None) -> None:
    """Send each line of the terminal as a message and print the answer, until the input ends. Raises `ChatError`."""
    timeout = httpx.Timeout(10.0, read=None)  # an answer takes as long as the service lets it
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=timeout) as client:
        try:
            if not thread_id:
                made = _get_json(client.post("/threads", json={"agent_id": agent_id or _find_agent(client)}))
                thread_id = str(made["id"])
            print(f"Thread {thread_id}. An empty line or Ctrl+D ends.", file=sys.stderr)
            for line in _lines():
                _send(client, thread_id, line)
        except httpx.HTTPError as error:
            raise ChatError(f"The service at {url} does not answer: {error}") from error


def _lines() -> Iterator[str]:
    while True:
        print("> ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline().strip()
        if not line:
            return
        yield line


def _find_agent(client: httpx.Client) -> str:
    for agent in _get_json(client.get("/agents", params={"limit": 100}))["data"]:
        if agent["name"] == _AGENT:
            return str(agent["id"])
    made = _get_json(client.post("/agents", json={"name": _AGENT, "system_prompt": "You are a helpful assistant."}))
    return str(made["id"])


def _send(client: httpx.Client, thread_id: str, content: str) -> None:
    """Send a message and print the answer. If the connection breaks, the stream is resumed."""
    path, last_id = f"/threads/{thread_id}/messages", None
    request = client.build_request("POST", path, json={"content": content, "stream": True})
    while True:
        response = client.send(request, stream=True)
        try:
            if response.status_code == 204:
                return
            _refuse_problems(response)
            for event_id, event in _events(response):
                last_id = event_id
                path = f"/threads/{thread_id}/runs/{event.get('run_id')}/events"
                if _show(event):
                    return
        except httpx.TransportError:
            if last_id is None:
                raise
        finally:
            response.close()
        request = client.build_request("GET", path, headers={"last-event-id": last_id or ""})


def _show(event: dict[str, Any]) -> bool:
    """Print an event; whether it was the last one."""
    match event["type"]:
        case "message.delta":
            print(event["text"], end="", flush=True)
        case "tool.started":
            print(f"[{event['name']}]", file=sys.stderr)
        case "run.failed":
            print(f"\nFailed: {event['problem']['detail']}", file=sys.stderr)
            return True
        case "run.completed" | "run.cancelled":
            print()
            return True
    return False


def _events(response: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """`(id, data)` of each event. The service sends one line of data per event; this reads nothing else."""
    event_id = ""
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        if name == "id":
            event_id = value
        elif name == "data":
            yield event_id, json.loads(value)


def _get_json(response: httpx.Response) -> Any:
    _refuse_problems(response)
    return response.json()


def _refuse_problems(response: httpx.Response) -> None:
    if response.status_code < 400:
        return
    response.read()
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError):
        detail = f"HTTP {response.status_code}"
    raise ChatError(f"The service refused: {detail}")
