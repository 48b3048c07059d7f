"""A right is asked for when it is used and while it is used: the matrix of what is taken away, how, where and when."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy import update

from ai_agents.runner.process.periodic import Timing
from ai_agents.store.access_tables import ApiKeyTable, TicketTable
from ai_agents.testing import ScriptedProvider, tool_call
from tests.api.live import TIMEOUT_S
from tests.api.rights import LONG, MARK, POLL_S, SHORT_S, Replicas, World, end_in, open_replicas
from tests.api.service import check_problem
from tests.support.examples import SOAK
from tests.support.redis_server import RedisServer

TAKING: dict[str, Callable[[World], Awaitable[None]]] = {
    "the roles are removed": World.take_roles,
    "the key is deleted": World.delete_key,
    "the key that made the key is deleted": World.delete_parent,
    "the key ends": World.nothing,
}


REPLICAS = ("same process, sqlite", "same process, postgresql", "other replica", "other replica, deaf")


def pairs_of(taking: Iterable[str], *, beginning: int = 0) -> list[tuple[str, str]]:
    """Every pair of replicas and what is taken in `make soak`, else every second one."""
    pairs = itertools.product(enumerate(REPLICAS), enumerate(taking))
    return [(replicas, taken) for (one, replicas), (other, taken) in pairs if SOAK or (one + other) % 2 == beginning]


@pytest.fixture(params=REPLICAS)
async def replicas(
    request: pytest.FixtureRequest, tmp_path: Path, redis_server: RedisServer
) -> AsyncIterator[Replicas]:
    """One service, or two."""
    url: str = request.getfixturevalue("sqlite_url" if "sqlite" in request.param else "postgresql_url")
    async with open_replicas(request.param, url, redis_server.url, tmp_path) as opened:
        yield opened


@pytest.fixture
async def world(replicas: Replicas) -> AsyncIterator[World]:
    async with AsyncExitStack() as clients:
        yield World(replicas, clients)


@pytest.mark.parametrize("replicas, taking", pairs_of(TAKING), indirect=["replicas"])
async def test_streams_end_with_the_right_to_read_them(world: World, taking: str) -> None:
    await world.open(key_ends=end_in(SHORT_S + 4) if taking == "the key ends" else None)
    await world.make_tickets()
    opened = await world.read()
    assert not any(task.done() for _stream, task in opened)

    await TAKING[taking](world)
    if taking != "the key ends" and world.replicas.hears:
        for thread_id in world.threads.values():
            await world.alice.patch(f"/threads/{thread_id}", json={"title": MARK})
    async with asyncio.timeout(60):
        await asyncio.gather(*(task for _stream, task in opened))

    if taking != "the key ends" and world.replicas.hears:
        # At once: before what happened next.
        for stream, _task in opened:
            assert not [event for event in stream.events if event.event == "thread.updated"], stream.name
    for stream, _task in opened:
        assert not [event for event in stream.events if event.event.startswith("run.co")], stream.name
    lost = (404, "not_found") if taking == "the roles are removed" else (401, "unauthorized")
    check_problem(await world.bob.get(f"/threads/{world.threads['silent']}/events"), *lost)


TAKING_TOKENS: dict[str, Callable[[World], Awaitable[None]]] = {
    "it is deleted": World.delete_token,
    "all of its user are deleted": World.delete_tokens,
    "it ends": World.nothing,
}


@pytest.mark.parametrize(
    "replicas, taking",
    [
        ("same process, sqlite", "all of its user are deleted"),
        ("other replica", "it ends"),
        ("other replica, deaf", "it is deleted"),
    ],
    indirect=["replicas"],
)
async def test_streams_end_with_their_token_and_those_of_its_key_go_on(world: World, taking: str) -> None:
    await world.open()
    await world.make_tickets()
    if taking == "it ends":
        ends = update(ApiKeyTable).where(ApiKeyTable.id == world.token_id).values(expires_at=end_in(SHORT_S + 2))
        await world.replicas.taking.container.conn.database.write(lambda c: c.execute(ends))
    opened = await world.read()
    await TAKING_TOKENS[taking](world)
    async with asyncio.timeout(60):
        await asyncio.gather(*(task for stream, task in opened if "token" in stream.name))
    assert not any(task.done() for stream, task in opened if "token" not in stream.name)
    check_problem(await world.by_token.get("/me"), 401, "unauthorized")
    assert (await world.bob.get("/me")).status_code == 200
    await world.delete_parent()
    async with asyncio.timeout(60):
        await asyncio.gather(*(task for _stream, task in opened))


async def test_a_stream_ends_with_its_ticket(world: World) -> None:
    await world.open()
    await world.make_tickets()
    made, ends = end_in(SHORT_S + 1 - 24 * 3600), end_in(SHORT_S + 1)
    await world.replicas.taking.container.conn.database.write(
        lambda c: c.execute(update(TicketTable).values(created_at=made, expires_at=ends))
    )
    opened = await world.read()
    by_ticket = [task for stream, task in opened if "ticket" in stream.name]
    async with asyncio.timeout(60):
        await asyncio.gather(*by_ticket)
    others = [task for _stream, task in opened if task not in by_ticket]
    assert not any(task.done() for task in others)
    await world.delete_key()
    async with asyncio.timeout(60):
        await asyncio.gather(*others)


async def test_streams_end_with_the_former_secret_of_a_key_and_what_it_made_stays(world: World) -> None:
    await world.open()
    await world.make_tickets()
    opened = await world.read()
    await world.rotate_key()
    async with asyncio.timeout(60):
        await asyncio.gather(*(task for stream, task in opened if not stream.made))
    assert not any(task.done() for stream, task in opened if stream.made)
    await world.delete_parent()
    async with asyncio.timeout(60):
        await asyncio.gather(*(task for _stream, task in opened))


async def test_a_post_that_waits_shows_nothing_once_the_right_is_lost(world: World) -> None:
    await world.open()
    path = f"/threads/{world.threads['waiting']}"
    waiting = asyncio.create_task(world.bob.post(f"{path}/messages", json={"content": LONG}))
    async with asyncio.timeout(TIMEOUT_S):
        while not (found := (await world.alice.get(f"{path}/runs")).json()["data"]):
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.1)  # some text, so that the cancelled run has an answer
    await world.take_roles()
    if not world.replicas.hears:
        await asyncio.sleep(3 * POLL_S)
    ended = await world.alice.post(f"{path}/runs/{found[0]['id']}/cancel")
    assert ended.json()["status"] == "cancelled"
    check_problem(await waiting, 404, "not_found")


def test_what_another_process_took_away_is_read_well_within_fifteen_seconds() -> None:
    assert Timing().revocations_every_s <= 5


# What is taken away while messages wait, and the codes with which their runs then fail: of the one that was sent by the
# key, and of the one by its token. None: it goes on.
WAITING: dict[str, tuple[Callable[[World], Awaitable[None]], str | None, str | None]] = {
    "the roles on the thread": (World.take_roles, "forbidden", "forbidden"),
    "the role on the agent": (World.take_roles_on_agent, "forbidden", "forbidden"),
    "the key": (World.delete_key, "forbidden", "forbidden"),
    "the key that made the key": (World.delete_parent, "forbidden", "forbidden"),
    "the token": (World.delete_token, None, "forbidden"),
    "the secret of the key": (World.rotate_key, None, None),
    "the key and the token ended": (World.let_both_end, None, None),
    "the agent": (World.delete_agent, "agent_deleted", "agent_deleted"),
    "nothing": (World.nothing, None, None),
}


# Each pair is in one of the next two tests.
@pytest.mark.parametrize("replicas, taking", pairs_of(WAITING), indirect=["replicas"])
async def test_a_queued_message_is_asked_again_when_its_run_begins(world: World, taking: str) -> None:
    take, *codes = WAITING[taking]
    await world.open()
    path = f"/threads/{world.threads['busy']}"
    active = await world.alice.post(f"{path}/messages", json={"content": LONG}, headers={"prefer": "respond-async"})
    queued = [
        await world.send("busy", content="Hello?", on_busy="queue", by_token=by_token) for by_token in (False, True)
    ]
    for run_id in queued:
        await world.until("busy", run_id, "queued")

    await take(world)
    await world.alice.post(f"{path}/runs/{active.json()['id']}/cancel")

    for run_id, code in zip(queued, codes, strict=True):
        run = await world.until("busy", run_id, "completed", "failed")
        assert (None if run["error"] is None else run["error"]["code"]) == code
        history = (await world.alice.get(f"{path}/messages", params={"limit": 100})).json()["data"]
        said = [message["role"] for message in history if message["run_id"] == run_id]
        assert said == (["user", "assistant"] if code is None else ["user"])


@pytest.mark.parametrize("replicas, taking", pairs_of(WAITING, beginning=1), indirect=["replicas"])
async def test_a_call_that_waits_for_approval_is_asked_again_when_its_run_goes_on(world: World, taking: str) -> None:
    take, *codes = WAITING[taking]
    call = tool_call("calculator", expression="6*7")
    # The runs begin where bob is, and go on where the decisions are made.
    world.replicas.taking.container.providers.add(ScriptedProvider("It is 42.", "It is 42."))
    same = world.replicas.using is world.replicas.taking
    answers = ["It is 42."] * 2 if same else []
    world.replicas.using.container.providers.add(ScriptedProvider([call], [call], *answers))
    await world.open(provider="scripted", tools=[{"name": "calculator", "approval": "always"}])
    waiting = {
        name: await world.send(name, content="What is six times seven?", by_token=name == "waiting")
        for name in ("silent", "waiting")
    }
    for name, run_id in waiting.items():
        await world.until(name, run_id, "waiting")

    await take(world)
    for (name, run_id), code in zip(waiting.items(), codes, strict=True):
        path = f"/threads/{world.threads[name]}"
        decision = {"tool_call_id": call.tool_call_id, "approved": True}
        decided = await world.alice.post(f"{path}/runs/{run_id}/approvals", json=decision)

        assert decided.status_code == 200, decided.text
        run = await world.until(name, run_id, "completed", "failed")
        assert (None if run["error"] is None else run["error"]["code"]) == code
        log = (await world.alice.get(f"{path}/events", headers={"accept": "application/json"})).json()["data"]
        results = [event["is_error"] for event in log if event["type"] == "tool.completed"]
        assert results == [code is not None], "the call is made only with the right to it"
        assert ("tool.started" in [event["type"] for event in log]) == (code is None)
