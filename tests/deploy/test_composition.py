"""Everything that `docker compose up` starts, from the same commands and environment, on real PostgreSQL and Redis."""

import asyncio
import json
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

from ai_agents.client import Client
from ai_agents.core.events import Event
from ai_agents.store import migrate
from tests.deploy.composition import Composition
from tests.deploy.image import DOCKERFILE
from tests.support.examples import SOAK
from tests.support.next_version import NEXT, know_the_next_version
from tests.support.processes import free_port
from tests.support.shared import SharedDirectory

# How many conversations go on while processes are replaced, and for how long before and after.
TALKS, SECONDS = (20, 5) if SOAK else (3, 0.5)
T = TypeVar("T")
WORDS = "one two three four five six seven eight"


@pytest.fixture(scope="module")
def composed(shared_directory: SharedDirectory) -> Iterator[Composition]:
    """All services, behind their proxy."""
    directory = Path(tempfile.mkdtemp(dir=shared_directory.path))
    directory.chmod(0o711)  # PostgreSQL runs as another user
    with Composition(directory, apis=3 if SOAK else 2, AI_AGENTS_ECHO_DELAY_S="0.05").running() as composition:
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
        with client.stream("POST", f"/threads/{thread_id}/messages", json={"content": WORDS, "stream": True}) as answer:
            deltas = (line for line in answer.iter_lines() if line.startswith("event: message.delta"))
            arrived = [time.monotonic() for _delta in deltas]
        assert arrived[-1] - arrived[0] > 0.05 * (len(arrived) - 2)

        # The worker writes the title, and each process reads the same.
        title = soon(lambda: client.get(f"/threads/{thread_id}").json()["title"])
        for url in composed.urls:
            assert httpx.get(f"{url}/threads/{thread_id}", headers=client.headers).json()["title"] == title

        # A file that one process takes is read by the other, and its bytes go with its user.
        file_id = client.post("/files", files={"file": ("a.txt", b"of ada")}).raise_for_status().json()["id"]
        for url in composed.urls:
            assert httpx.get(f"{url}/files/{file_id}/content", headers=client.headers).content == b"of ada"
    with client_of(composed) as admin:
        job = admin.delete("/users/ada").raise_for_status().json()
        assert soon(lambda: receipt_of(admin, job["id"]))["removed"]["files"] == 1
    stored = [path for path in (composed.image.directory / "var").rglob("*") if path.is_file()]
    assert [path for path in stored if b"of ada" in path.read_bytes()] == []


def soon(find: Callable[[], T | None]) -> T:
    """What `find` finds within half a minute. A request is made ten times a second, which no limit minds."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if found := find():
            return found
        time.sleep(0.1)
    raise TimeoutError


def receipt_of(admin: httpx.Client, job_id: str) -> dict[str, dict[str, int]] | None:
    """The result of a job that is completed."""
    jobs = admin.get("/jobs").raise_for_status().json()["data"]
    (job,) = [each for each in jobs if each["id"] == job_id]
    result: dict[str, dict[str, int]] | None = job["result"] if job["status"] == "completed" else None
    return result


def test_the_images_own_health_check_asks_the_service(composed: Composition) -> None:
    (health,) = re.findall(r"^HEALTHCHECK .*?CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    (command,) = re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    port = composed.urls[0].rpartition(":")[2]
    where = composed.image.run(["python", "-c", "import ai_agents, app, worker, migrations; print(ai_agents.__file__)"])

    assert json.loads(command) == ["ai-agents", "serve"]
    assert where.stdout.strip() == str(composed.image.directory / "ai_agents" / "__init__.py"), where.stderr
    assert composed.image.run(json.loads(health), PORT=port).returncode == 0
    assert composed.image.run(json.loads(health), PORT=str(free_port())).returncode != 0


async def talk(composed: Composition, thread_id: str, ended: asyncio.Event) -> int:
    """Send messages one after the other. Each is sent again with its key until it is answered."""
    count, headers = 0, {"Authorization": f"Bearer {composed.admin_key}"}
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


async def follow(composed: Composition, thread_id: str) -> list[Event]:
    """Read the thread's stream through the proxy from its beginning, until it has its last title."""
    read = []
    async with Client(composed.url, composed.admin_key, patience_s=60) as client:
        async for event in client.stream_thread_events(thread_id, after="0-0"):
            read.append(event)
            if event.type == "thread.updated" and event.data["thread"]["title"] == "The end":
                break
    return read


def test_no_request_fails_while_the_database_is_migrated_and_then_each_process_replaced(
    composed: Composition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know_the_next_version(tmp_path, monkeypatch)
    with client_of(composed) as client:
        threads = [new_thread(client) for _ in range(TALKS)]

    async def run() -> tuple[list[int], list[list[Event]]]:
        ended = asyncio.Event()
        talks = [asyncio.create_task(talk(composed, thread_id, ended)) for thread_id in threads]
        following = [asyncio.create_task(follow(composed, thread_id)) for thread_id in threads]
        await asyncio.sleep(SECONDS)
        await asyncio.to_thread(migrate.upgrade, composed.database_url)
        await asyncio.sleep(SECONDS)
        await asyncio.to_thread(composed.roll)
        await asyncio.sleep(SECONDS)
        ended.set()
        sent = await asyncio.gather(*talks)
        async with Client(composed.url, composed.admin_key) as client:
            for thread_id in threads:
                await client.update_thread(thread_id, title="The end")
        async with asyncio.timeout(60):
            return sent, await asyncio.gather(*following)

    sent, streams = asyncio.run(run())

    assert migrate.current(composed.database_url) == NEXT
    for events in streams:
        check_stream(events)

    with client_of(composed) as client:
        for thread_id, count in zip(threads, sent, strict=True):
            said = [message["content"] for message in all_messages(client, thread_id) if message["role"] == "user"]
            assert said == [f"say {number}" for number in range(1, count + 1)]


def check_stream(events: list[Event]) -> None:
    """Assert that each row came once and in order, and that what came in pieces is what the rows say."""
    rows = [event for event in events if event.type not in ("message.started", "message.delta")]
    assert [int(event.id.partition("-")[0]) for event in rows] == list(range(1, len(rows) + 1))
    texts: defaultdict[str, str] = defaultdict(str)
    for event in events:
        for void in event.data.get("discard", ()):
            texts.pop(void, None)
        if event.type == "message.delta":
            texts[event.data["message_id"]] += event.data["text"]
        elif event.type == "message.completed" and event.data["message"]["id"] in texts:
            assert texts[event.data["message"]["id"]] == event.data["message"]["content"]


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
