"""Everything that `docker compose up` starts, from the same commands and environment, on real PostgreSQL and Redis."""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.deploy.composition import Composition
from tests.support.processes import wait_until

SOAK = bool(os.environ.get("SOAK"))
WORDS = "one two three four five six seven eight"


@pytest.fixture
def composed(server_directory: Path) -> Iterator[Composition]:
    """All services, behind their proxy."""
    with Composition(server_directory, apis=3 if SOAK else 2, AI_AGENTS_ECHO_DELAY_S="0.05").running() as composition:
        yield composition


def client_of(composed: Composition) -> httpx.Client:
    headers = {"Authorization": f"Bearer {composed.admin_key}"}
    return httpx.Client(base_url=composed.url, headers=headers, timeout=60)


def new_thread(client: httpx.Client) -> str:
    agent = client.post("/agents", json={"name": "assistant"}).raise_for_status().json()
    thread: str = client.post("/threads", json={"agent_id": agent["id"]}).raise_for_status().json()["id"]
    return thread


def test_what_compose_starts_answers_streams_titles_and_erases(composed: Composition) -> None:
    with client_of(composed) as client:
        key = client.post("/keys", json={"user_id": "ada"}).raise_for_status().json()["key"]
        client.headers["Authorization"] = f"Bearer {key}"
        thread_id = new_thread(client)

        # The stream comes through the proxy as it is sent, not at its end.
        arrived: list[float] = []
        with client.stream("POST", f"/threads/{thread_id}/messages", json={"content": WORDS, "stream": True}) as answer:
            for line in answer.iter_lines():
                if line.startswith("event: message.delta"):
                    arrived.append(time.monotonic())
        assert len(arrived) > 5
        assert arrived[-1] - arrived[0] > 0.05 * (len(arrived) - 2)

        # The worker writes the title, and each process reads the same.
        wait_until(lambda: client.get(f"/threads/{thread_id}").json()["title"], what="the worker's title")
        for url in composed.urls:
            assert httpx.get(f"{url}/threads/{thread_id}", headers=client.headers).json()["title"]

        # A file that one process takes is read by the other, and its bytes go with its user.
        file_id = client.post("/files", files={"file": ("a.txt", b"of ada")}).raise_for_status().json()["id"]
        for url in composed.urls:
            assert httpx.get(f"{url}/files/{file_id}/content", headers=client.headers).content == b"of ada"
    with client_of(composed) as admin:
        job = admin.delete("/users/ada").raise_for_status().json()
        receipt = wait_until(lambda: done(admin, job["id"]), what="the erasure")
        assert receipt["files"] == 1
    stored = [path for path in (composed.image.directory / "var").rglob("*") if path.is_file()]
    assert [path for path in stored if b"of ada" in path.read_bytes()] == []


def done(admin: httpx.Client, job_id: str) -> dict[str, int] | None:
    """The result of a job that is completed."""
    jobs = admin.get("/jobs").raise_for_status().json()["data"]
    (job,) = [each for each in jobs if each["id"] == job_id]
    result: dict[str, int] | None = job["result"] if job["status"] == "completed" else None
    return result


@pytest.mark.skipif(not SOAK, reason="a load of a minute: make soak")
def test_no_request_fails_while_each_process_is_replaced(composed: Composition) -> None:
    with client_of(composed) as client:
        threads = [new_thread(client) for _ in range(20)]
        headers = dict(client.headers)

    async def talk(thread_id: str, ended: asyncio.Event) -> int:
        """Send messages one after the other. Each is sent again with its key until it is answered."""
        count = 0
        async with httpx.AsyncClient(base_url=composed.url, headers=headers, timeout=60) as client:
            while not ended.is_set():
                count += 1
                key = {"Idempotency-Key": f"{thread_id}-{count}"}
                for _try in range(20):
                    try:
                        answer = await client.post(
                            f"/threads/{thread_id}/messages", json={"content": f"say {count}"}, headers=key
                        )
                    except httpx.TransportError:
                        await asyncio.sleep(0.5)
                        continue
                    if answer.status_code == 201:
                        break
                    assert answer.status_code in (409, 502, 503), answer.text
                    await asyncio.sleep(0.5)
                else:
                    raise AssertionError("no answer after 20 tries")
        return count

    async def run() -> list[int]:
        ended = asyncio.Event()
        talks = [asyncio.create_task(talk(thread_id, ended)) for thread_id in threads]
        await asyncio.sleep(5)
        await asyncio.to_thread(composed.roll)
        await asyncio.sleep(5)
        ended.set()
        return await asyncio.gather(*talks)

    sent = asyncio.run(run())

    with client_of(composed) as client:
        for thread_id, count in zip(threads, sent, strict=True):
            said = [
                message["content"]
                for message in all_messages(client, thread_id)
                if message["role"] == "user"
            ]
            assert said == [f"say {number}" for number in range(1, count + 1)]


def all_messages(client: httpx.Client, thread_id: str) -> list[dict[str, str]]:
    messages: list[dict[str, str]] = []
    after = None
    while True:
        query = {"limit": 100} | ({"after": after} if after else {})
        page = client.get(f"/threads/{thread_id}/messages", params=query).raise_for_status().json()
        messages += page["data"]
        after = page["next"]
        if after is None:
            return messages
