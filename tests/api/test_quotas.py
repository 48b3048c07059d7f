"""Past a quota nothing is made, however many requests come at once on however many processes; deleting gives back."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from ai_agents.store.totals import Counted, find_totals
from ai_agents.testing import ScriptedProvider, tool_call
from ai_agents.workers.erasure import request_erasure
from tests.api.service import Service, check_problem, give_role, make_agent, make_thread, open_service, settings_for
from tests.present import present
from tests.support.redis_server import RedisServer
from tests.support.trimming import trim_logs

AT_ONCE = 20


@pytest.fixture
async def replicas(
    database_url: str, redis_server: RedisServer, tmp_path: Path
) -> AsyncIterator[tuple[Service, Service]]:
    """Two processes of the service on one database, with one folder of files."""
    settings = settings_for(database_url, tmp_path, redis_url=redis_server.url, database_pool_size=4)
    async with open_service(settings) as first, open_service(settings) as second:
        yield first, second


async def set_limits(replicas: tuple[Service, ...], user: str, **limits: int | None) -> None:
    answer = await (await replicas[0].admin()).put(f"/users/{user}/limits", json=limits)
    assert answer.status_code == 200, answer.text
    for service in replicas:
        await service.container.stored_limits.refresh()


async def totals_of(service: Service, user: str) -> Mapping[Counted, int]:
    return await service.container.conn.database.read(lambda c: find_totals(c, user))


async def upload(client: httpx.AsyncClient, content: bytes, **headers: str) -> httpx.Response:
    return await client.post("/files", files={"file": ("a.txt", content)}, headers=headers)


def stored_blobs(directory: Path) -> int:
    return sum(1 for path in (directory / "files").rglob("*") if path.is_file() and len(path.name) == 64)


async def test_no_race_passes_a_quota(replicas: tuple[Service, Service], tmp_path: Path) -> None:
    """Of twenty requests at once, on two processes, as many succeed as there is room for."""
    clients = [await service.user("alice") for service in replicas]
    gate = asyncio.Event()
    for service in replicas:
        # It holds the runs, so that they are under way at once.
        service.container.providers.add(ScriptedProvider(*[[gate, "Hello!"]] * AT_ONCE))
    agent = await make_agent(clients[0], provider="scripted")
    source = await make_thread(clients[0], agent["id"], messages=[{"role": "user", "content": "Hello!"}])
    (message,) = (await clients[0].get(f"/threads/{source['id']}/messages")).json()["data"]
    threads = [(await make_thread(clients[0], agent["id"]))["id"] for _ in range(AT_ONCE)]
    await set_limits(replicas, "alice", files_bytes=500, threads=AT_ONCE + 4, agent_versions=5, runs=3)

    def post(path: str, body: dict[str, Any], **headers: str) -> Callable[[int], Awaitable[httpx.Response]]:
        return lambda number: clients[number % 2].post(path.format(threads[number]), json=body, headers=headers)

    fork = f"/threads/{source['id']}/fork"
    asked: dict[str, tuple[int, Callable[[int], Awaitable[httpx.Response]]]] = {
        "files_bytes": (5, lambda number: upload(clients[number % 2], b"%100d" % number)),
        "agent_versions": (4, post("/agents", {"name": "another"})),
        "threads": (
            3,
            lambda number: post(
                *((("/threads", {"agent_id": agent["id"]}), (fork, {"message_id": message["id"]}))[number // 2 % 2])
            )(number),
        ),
        "runs": (3, post("/threads/{}/messages", {"content": "Hello!"}, prefer="respond-async")),
    }
    for quota, (room, ask) in asked.items():
        answers = await asyncio.gather(*map(ask, range(AT_ONCE)))
        made = Counter(answer.is_success for answer in answers)
        assert made == {True: room, False: AT_ONCE - room}, (quota, [answer.text for answer in answers])
        for answer in answers:
            if not answer.is_success:
                problem = check_problem(answer, 429, "quota_exceeded")
                assert problem["quota"] == quota
                assert quota in problem["detail"]
                assert problem["used"] <= problem["limit"]
                assert ("retry-after" in answer.headers) == (quota == "runs")
    expected = {"files": 5, "files_bytes": 500, "threads": AT_ONCE + 4, "agent_versions": 5}
    assert await totals_of(replicas[0], "alice") == expected
    assert stored_blobs(tmp_path) == 5, "nothing is left of what was refused"
    assert [len(service.container.user_locks) for service in replicas] == [0, 0]
    gate.set()


async def test_what_is_deleted_is_given_back(service: Service) -> None:
    alice = await service.user("alice")
    await set_limits((service,), "alice", files_bytes=10, threads=1, agent_versions=2)
    agent = await make_agent(alice)
    assert (await alice.patch(f"/agents/{agent['id']}", json={"description": "Second."})).json()["version"] == 2
    assert (await alice.patch(f"/agents/{agent['id']}", json={"description": "Second."})).json()["version"] == 2
    third = await alice.patch(f"/agents/{agent['id']}", json={"description": "Third."})
    told = check_problem(third, 429, "quota_exceeded")
    assert (told["quota"], told["used"], told["limit"]) == ("agent_versions", 2, 2)
    assert (await alice.get(f"/agents/{agent['id']}")).json()["description"] == "Second."
    thread = await make_thread(alice, agent["id"])
    check_problem(await alice.post("/threads", json={"agent_id": agent["id"]}), 429, "quota_exceeded")
    file = (await upload(alice, b"0123456789")).json()
    told = check_problem(await upload(alice, b"1"), 429, "quota_exceeded")
    assert (told["quota"], told["used"], told["limit"]) == ("files_bytes", 10, 10)
    path = f"/threads/{thread['id']}/messages"
    assert (await alice.post(path, json={"content": "Read.", "attachments": [file["id"]]})).status_code == 201

    # A tombstone takes no room, and neither does its own end.
    assert (await alice.delete(f"/files/{file['id']}")).status_code == 204
    assert await totals_of(service, "alice") == {"files": 0, "files_bytes": 0, "threads": 1, "agent_versions": 2}
    assert (await upload(alice, b"0123456789")).status_code == 201
    assert (await alice.delete(f"/threads/{thread['id']}")).status_code == 204
    await service.container.attachments.delete(file["id"])
    assert await totals_of(service, "alice") == {"files": 1, "files_bytes": 10, "threads": 0, "agent_versions": 2}
    # A tool's result counts, and a run is never refused for it.
    result = await service.container.attachments.add_text("alice", "result.txt", "x" * 20)
    assert (await totals_of(service, "alice"))["files_bytes"] == 30
    await service.container.attachments.delete(result.file_id)
    kept = await make_thread(alice, agent["id"])
    assert (await alice.delete(f"/agents/{agent['id']}")).status_code == 204
    assert (await totals_of(service, "alice"))["agent_versions"] == 0
    assert (await alice.get(f"/threads/{kept['id']}/context")).status_code == 200, "its thread is readable"
    unused = await make_agent(alice)
    assert (await alice.delete(f"/agents/{unused['id']}")).status_code == 204
    versions = await service.container.conn.database.read(
        lambda c: c.exec_driver_sql("SELECT agent_id, version FROM agent_versions").all()
    )
    assert [tuple(row) for row in versions] == [(agent["id"], 2)], "what cannot be read any more is gone"


async def test_who_makes_a_thing_pays_for_it(service: Service) -> None:
    alice, bob, admin = await service.user("alice"), await service.user("bob"), await service.admin()
    agent = await make_agent(alice)
    await give_role(alice, "bob", "editor", "agent", agent["id"])
    assert (await bob.patch(f"/agents/{agent['id']}", json={"description": "Of Bob."})).json()["version"] == 2
    thread = await make_thread(bob, agent["id"])
    await give_role(bob, "alice", "owner", "thread", thread["id"])
    own = (await bob.get("/roles")).json()["data"]
    role = next(each for each in own if each["resource_id"] == thread["id"])
    assert (await bob.delete(f"/roles/{role['id']}")).status_code == 204
    assert (await totals_of(service, "alice"))["threads"] == 0
    assert (await totals_of(service, "bob")) == {"files": 0, "files_bytes": 0, "threads": 1, "agent_versions": 1}

    # Erased, a user pays for nothing; what others have of theirs stays.
    job = await service.container.conn.database.write(lambda c: request_erasure(c, "bob"))
    await service.container.job_runner.run(job["id"])
    assert (await alice.get(f"/threads/{thread['id']}")).status_code == 200
    assert (await alice.delete(f"/threads/{thread['id']}")).status_code == 204
    assert (await alice.delete(f"/agents/{agent['id']}")).status_code == 204
    nothing = dict.fromkeys(("files", "files_bytes", "threads", "agent_versions"), 0)
    assert [await totals_of(service, user) for user in ("alice", "bob")] == [nothing, nothing]
    # The defaults do not hold admins.
    service.container.limits.defaults = service.container.limits.defaults | {"agent_versions": 0}
    check_problem(await alice.post("/agents", json={"name": "a"}), 429, "quota_exceeded")
    assert (await admin.post("/agents", json={"name": "a"})).status_code == 201


async def test_a_thread_has_no_more_rows_than_its_writers_may_write(service: Service) -> None:
    alice, bob = await service.user("alice"), await service.user("bob")
    agent = await make_agent(alice)
    await set_limits((service,), "alice", thread_rows=5)
    six = [{"role": "user", "content": "Hello!"}] * 6
    told = check_problem(
        await alice.post("/threads", json={"agent_id": agent["id"], "messages": six}), 429, "quota_exceeded"
    )
    assert (told["quota"], told["used"], told["limit"]) == ("thread_rows", 0, 5)
    thread = await make_thread(alice, agent["id"], messages=six[:2])
    path = f"/threads/{thread['id']}/messages"
    # A run is never refused in its middle: three rows.
    assert (await alice.post(path, json={"content": "Hello!"})).status_code == 201
    told = check_problem(await alice.post(path, json={"content": "Hello!"}), 429, "quota_exceeded")
    assert (told["quota"], told["used"], told["limit"]) == ("thread_rows", 5, 5)
    check_problem(await alice.patch(f"/threads/{thread['id']}", json={"title": "T"}), 429, "quota_exceeded")
    assert (await alice.get(f"/threads/{thread['id']}")).json()["title"] is None
    await give_role(alice, "bob", "editor", "thread", thread["id"])
    await give_role(alice, "bob", "user", "agent", agent["id"])
    assert (await bob.post(path, json={"content": "Hello!"})).status_code == 201
    last = (await alice.get(path, params={"order": "desc", "limit": 1})).json()["data"][0]
    told = check_problem(
        await alice.post(f"/threads/{thread['id']}/fork", json={"message_id": last["id"]}), 429, "quota_exceeded"
    )
    assert told["quota"] == "thread_rows"
    check_problem(await alice.post(path, json={"content": "Hello!"}), 429, "quota_exceeded")

    # What retention has removed of the log counts no longer: all but its last row.
    await trim_logs(service.container.conn.database)
    assert (await alice.get("/me")).json()["limits"]["thread_rows"]["used"] == 1
    assert (await alice.post(path, json={"content": "Hello!"})).status_code == 201
    assert (await alice.patch(f"/threads/{thread['id']}", json={"title": "T"})).status_code == 200
    told = check_problem(await alice.post(path, json={"content": "Hello!"}), 429, "quota_exceeded")
    assert (told["used"], told["limit"]) == (5, 5)
    assert (await alice.get("/me")).json()["limits"]["thread_rows"]["used"] == 5


async def test_a_repeated_request_is_answered_past_the_quota(service: Service) -> None:
    alice = await service.user("alice")
    key = {"idempotency-key": "k"}
    agent = await alice.post("/agents", json={"name": "a"}, headers=key)
    body = {"agent_id": agent.json()["id"]}
    thread = await alice.post("/threads", json=body, headers={"idempotency-key": "t"})
    file = await upload(alice, b"Hello", **{"idempotency-key": "f"})
    path = f"/threads/{thread.json()['id']}/messages"
    message = await alice.post(path, json={"content": "Hello!"}, headers={"idempotency-key": "m"})
    await set_limits((service,), "alice", files_bytes=5, threads=1, agent_versions=1, runs=0, thread_rows=1)
    again = (
        await alice.post("/agents", json={"name": "a"}, headers=key),
        await alice.post("/threads", json=body, headers={"idempotency-key": "t"}),
        await upload(alice, b"Hello", **{"idempotency-key": "f"}),
        await alice.post(path, json={"content": "Hello!"}, headers={"idempotency-key": "m"}),
    )
    assert [each.json()["id"] for each in again] == [each.json()["id"] for each in (agent, thread, file, message)]
    # What was refused leaves its key unused.
    refused = await alice.post("/threads", json=body, headers={"idempotency-key": "new"})
    check_problem(refused, 429, "quota_exceeded")
    await set_limits((service,), "alice")
    assert (await alice.post("/threads", json=body, headers={"idempotency-key": "new"})).status_code == 201


async def test_runs_that_wait_for_their_thread_or_a_person_are_not_under_way(service: Service) -> None:
    alice = await service.user("alice")
    await set_limits((service,), "alice", runs=1)
    gate = asyncio.Event()
    service.container.providers.add(ScriptedProvider([gate, "one"], "two", "three", "four"))
    agent = await make_agent(alice, provider="scripted")
    busy, other = await make_thread(alice, agent["id"]), await make_thread(alice, agent["id"])
    later = {"prefer": "respond-async"}
    body = {"content": "Hello!", "on_busy": "queue"}
    answers = [await alice.post(f"/threads/{busy['id']}/messages", json=body, headers=later) for _ in range(3)]
    assert [answer.json()["status"] for answer in answers] == ["running", "queued", "queued"]
    refused = await alice.post(f"/threads/{other['id']}/messages", json=body, headers=later)
    told = check_problem(refused, 429, "quota_exceeded")
    assert (told["quota"], told["used"], told["limit"], refused.headers["retry-after"]) == ("runs", 1, 1, "5")
    gate.set()
    async with asyncio.timeout(60):
        for answer in answers:
            outcome = await service.container.runner.wait(busy["id"], answer.json()["id"])
            assert outcome.run["status"] == "completed"
    assert (await alice.post(f"/threads/{other['id']}/messages", json=body)).json()["content"] == "four"


async def test_bytes_count_while_they_arrive(small_service: Service, tmp_path: Path) -> None:
    alice = await small_service.user("alice")
    await set_limits((small_service,), "alice", files_bytes=1000)
    boundary = b"--b\r\ncontent-disposition: form-data; name=file; filename=a.txt\r\n\r\n"
    arrived, finish = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield boundary + b"x" * 900
        arrived.set()
        await finish.wait()
        yield b"\r\n--b--\r\n"

    form = {"content-type": "multipart/form-data; boundary=b"}
    first = asyncio.create_task(alice.post("/files", content=slow(), headers=form))
    await arrived.wait()
    told = check_problem(await upload(alice, b"y" * 101), 429, "quota_exceeded")
    assert (told["used"], told["limit"]) == (900, 1000)
    assert (await upload(alice, b"y" * 100)).status_code == 201
    # What says that it is too large is refused before it is read.
    huge = {**form, "content-length": str(10 * 1024 * 1024)}

    chunks_read = 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal chunks_read
        chunks_read += 1
        yield boundary

    check_problem(await alice.post("/files", content=counted(), headers=huge), 429, "quota_exceeded")
    assert chunks_read == 0
    finish.set()
    assert (await first).status_code == 201
    assert small_service.container.attachments.arriving.of("alice") == 0
    check_problem(await upload(alice, b"y"), 429, "quota_exceeded")
    assert not list((tmp_path / "files" / "incoming").iterdir())


async def test_a_user_at_the_limit_holds_no_connections_of_others(postgresql_url: str, tmp_path: Path) -> None:
    """Alice's requests wait for each other without a connection; Bob's find one."""
    async with open_service(settings_for(postgresql_url, tmp_path, database_pool_size=2)) as service:
        alice, bob = await service.user("alice"), await service.user("bob")
        agent = await make_agent(bob)
        await set_limits((service,), "alice", agent_versions=1)
        async with service.container.user_locks.hold("alice"):
            waiting = [asyncio.create_task(alice.post("/agents", json={"name": "a"})) for _ in range(AT_ONCE)]
            async with asyncio.timeout(60):
                for _ in range(AT_ONCE):
                    assert (await bob.post("/threads", json={"agent_id": agent["id"]})).status_code == 201
            assert service.container.conn.database.checked_out() == 0
            assert not any(each.done() for each in waiting)
        answers = Counter([(await each).status_code for each in waiting])
        assert answers == {201: 1, 429: AT_ONCE - 1}


async def test_a_run_under_way_keeps_its_version_of_a_deleted_agent(small_service: Service) -> None:
    alice = await small_service.user("alice")
    small_service.container.providers.add(ScriptedProvider([tool_call("calculator", expression="6*7")]))
    tools = [{"name": "calculator", "approval": "always"}]
    agent = await make_agent(alice, provider="scripted", tools=tools)
    thread = await make_thread(alice, agent["id"])
    run = (await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Six times seven?"})).json()
    for word in ("second", "third"):
        await alice.patch(f"/agents/{agent['id']}", json={"description": word})
    assert (await alice.delete(f"/agents/{agent['id']}")).status_code == 204
    (call,) = (await alice.get(f"/threads/{thread['id']}/messages")).json()["data"][-1]["parts"]
    answer = {"tool_call_id": call["tool_call_id"], "approved": False, "reason": "No."}
    path = f"/threads/{thread['id']}/runs/{run['id']}"
    assert (await alice.post(f"{path}/approvals", json=answer)).status_code == 200
    async with asyncio.timeout(60):
        ended = (await small_service.container.runner.wait(thread["id"], run["id"])).run
    assert (ended["status"], present(ended["error"])["code"]) == ("failed", "agent_deleted")
    versions = await small_service.container.conn.database.read(
        lambda c: c.exec_driver_sql("SELECT version FROM agent_versions ORDER BY version").scalars().all()
    )
    assert list(versions) == [1, 3]
