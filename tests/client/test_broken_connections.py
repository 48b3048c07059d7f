"""The client behind a network that breaks, and before a service that is killed: each event once, nothing done twice."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ai_agents.client import Answer, Client, ServiceProblem, ServiceUnreachable, transport
from ai_agents.core.events import Event
from ai_agents.testing import ScriptedProvider, tool_call
from tests.api.live import Live
from tests.client.conftest import key_of
from tests.fakes.http_server import HttpServer
from tests.faults.support.proxy import Fault, TcpProxy
from tests.faults.support.replica import ADMIN_KEY, Replica

WORDS = [f"word {number} ü\u2028 " for number in range(60)]


class Cuts:
    """Cuts so many connections, each after some bytes of the answer."""

    def __init__(self, count: int, rng: random.Random) -> None:
        self.left, self._rng = count, rng

    def __call__(self) -> Fault:
        self.left -= 1
        return Fault(cut_after=self._rng.randint(1, 1500)) if self.left >= 0 else Fault()


@asynccontextmanager
async def behind_a_proxy(live: Live, choose: Callable[[], Fault] = Fault) -> AsyncIterator[tuple[Client, TcpProxy]]:
    async with (
        TcpProxy(int(live.server.address.rpartition(":")[2]), choose) as proxy,
        Client(f"http://127.0.0.1:{proxy.port}", await key_of(live, "alice"), patience_s=20) as client,
    ):
        yield client, proxy


def lose_answers_after(count: int) -> Callable[[], Fault]:
    """Whole answers on the first connections; then one is lost, though its request arrives."""
    faults = iter([Fault()] * count + [Fault(cut_after=1)])
    return lambda: next(faults, Fault())


async def test_a_stream_that_is_cut_anywhere_gives_each_event_once(small_live: Live, rng: random.Random) -> None:
    # The model goes on when the reader has what it has said.
    gates = [asyncio.Event() for _ in WORDS]
    said = [item for pair in zip(WORDS, gates, strict=True) for item in pair]
    call = ["Let me see. ", tool_call("calculator", expression="1 + 1")]
    small_live.container.providers.add(ScriptedProvider(call, said))
    cuts = Cuts(0, rng)
    async with behind_a_proxy(small_live, cuts) as (client, proxy):
        agent = await client.create_agent(name="teller", provider="scripted", tools=["calculator"])
        thread = (await client.create_thread(agent["id"]))["id"]
        proxy.cut_all()
        cuts.left, proxy.cuts = 12, 0
        watching = client.stream_thread_events(thread, after="0-0")
        seen: list[Event] = []
        watcher = asyncio.create_task(read_to(watching, seen, "run.completed"))

        events: list[Event] = []
        answer = Answer()
        async for event in client.stream(thread, "Tell me."):
            events.append(event)
            answer.add(event)
            for gate in gates[: answer.text.count("word")]:
                gate.set()
        await asyncio.wait_for(watcher, 20)
        assert proxy.cuts >= 12
        log = [each async for each in client.list_thread_events(thread)]
        messages = [each async for each in client.list_messages(thread)]

    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "assistant"]
    for told in (events, seen):
        ids = [event.id for event in told]
        assert len(set(ids)) == len(ids)
        assert [event.type for event in told if event.id.endswith("-0")] == [row["type"] for row in log]
        answer = Answer()
        for event in told:
            if event.type == "message.delta":
                assert event.data["offset"] == len(answer.texts.get(event.data["message_id"], ""))
            answer.add(event)
        assert answer.text == "".join(WORDS) == answer.message()["content"]
    assert "".join(map(str, events)).endswith("".join(WORDS))


async def read_to(events: AsyncIterator[Event], seen: list[Event], last: str) -> None:
    async for event in events:
        seen.append(event)
        if event.type == last:
            return


async def test_what_was_done_is_not_done_again_if_its_answer_is_lost(small_live: Live) -> None:
    async with behind_a_proxy(small_live, lose_answers_after(0)) as (client, proxy):
        agent = await client.create_agent(name="tutor")
        assert proxy.cuts == 1
        assert [each["id"] async for each in client.list_agents()] == [agent["id"]]
    async with behind_a_proxy(small_live, lose_answers_after(0)) as (client, proxy):
        thread = (await client.create_thread(agent["id"]))["id"]
    assert proxy.cuts >= 1
    for way in ("send", "start"):
        async with behind_a_proxy(small_live, lose_answers_after(0)) as (client, proxy):
            run = await client.start(thread, way) if way == "start" else None
            message = await client.wait(thread, run["id"]) if run else await client.send(thread, way)
            assert message["content"].startswith(f"echo: {way}")
    async with behind_a_proxy(small_live, lose_answers_after(0)) as (client, proxy):
        await client.delete_agent(agent["id"])
        assert proxy.cuts == 1
        roles = [each["role"] async for each in client.list_messages(thread)]
    assert roles == ["user", "assistant", "user", "assistant"]


async def test_a_request_that_may_not_be_repeated_is_sent_once(small_live: Live) -> None:
    async with behind_a_proxy(small_live, lose_answers_after(0)) as (client, _proxy):
        with pytest.raises(ServiceUnreachable):
            await client.request("POST", "/agents", {"name": "once"})
        assert len([each async for each in client.list_agents()]) == 1


async def test_a_network_that_swallows_everything_is_noticed(small_live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ai_agents.client.client.SILENCE_OF_RUN_S", 0.3)
    go = asyncio.Event()
    small_live.container.providers.add(ScriptedProvider(["Hel", go, "lo"]))
    async with behind_a_proxy(small_live) as (client, proxy):
        agent = await client.create_agent(name="teller", provider="scripted")
        thread = (await client.create_thread(agent["id"]))["id"]
        text = ""
        async for event in client.stream(thread, "Hi"):
            text += str(event)
            if str(event):
                proxy.silent = True
                go.set()
                asyncio.get_running_loop().call_later(0.5, setattr, proxy, "silent", False)
    assert text == "Hello"


async def test_hints_say_that_the_connection_is_another_one(small_live: Live) -> None:
    async with behind_a_proxy(small_live) as (client, proxy):
        hints = client.follow_threads()
        assert await anext(hints) is None
        proxy.cut_all()
        assert await anext(hints) is None
        agent = await client.create_agent(name="tutor")
        thread = await client.create_thread(agent["id"])
        hint = await anext(hints)
        assert hint is not None
        assert hint.thread_id == thread["id"]
        await hints.aclose()


async def test_what_is_refused_for_a_moment_is_tried_again(http: HttpServer) -> None:
    def refusal(status: str, *headers: str) -> bytes:
        lines = (f"HTTP/1.1 {status}", *headers, "content-length: 2", "connection: close", "", "{}")
        return "\r\n".join(lines).encode()

    problem = "content-type: application/problem+json"
    answers = [
        refusal("429 Too Many Requests", problem, "retry-after: 0"),
        refusal("503 Service Unavailable", problem, "retry-after: 0"),
        refusal("502 Bad Gateway"),
        refusal("200 OK"),
    ]

    async def answer(_asked: object, writer: asyncio.StreamWriter) -> None:
        writer.write(answers.pop(0))

    http.on("/me", answer)
    async with Client(http.url(""), "key", patience_s=5) as client:
        assert list(await client.get_me()) == []
        answers.append(refusal("429 Too Many Requests", problem, "retry-after: 6"))
        with pytest.raises(ServiceProblem) as later:
            await client.get_me()
        assert later.value.retry_after_s == 6
        for final in (refusal("503 Service Unavailable", problem), refusal("308 Permanent Redirect", "location: /")):
            answers.append(final)
            with pytest.raises(ServiceProblem):
                await client.get_me()


async def test_patience_ends(unused_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_FIRST_WAIT_S", 0.01)
    async with Client(f"http://127.0.0.1:{unused_port}", "key", patience_s=0.1) as client:
        with pytest.raises(ServiceUnreachable, match="does not answer"):
            await client.get_me()
        with pytest.raises(ServiceUnreachable):
            await anext(client.stream("01985a3e-0000-7000-8000-000000000000", "Hi"))


async def test_a_killed_service_goes_on_with_the_answer(sqlite_url: str, tmp_path: Path) -> None:
    environment = {
        "AI_AGENTS_DATABASE_URL": sqlite_url,
        "AI_AGENTS_VAR_DIR": str(tmp_path / "var"),
        "AI_AGENTS_ADMIN_KEY": ADMIN_KEY,
        "AI_AGENTS_AUTO_TITLE": "false",
        "AI_AGENTS_ECHO_DELAY_S": "0.02",
        "FAULTS_LEASE_S": "3",
    }
    replica = Replica(tmp_path, "a", environment)
    await replica.start()
    restarting: asyncio.Task[None] | None = None
    story = "a long story " * 20
    try:
        async with Client(replica.url, ADMIN_KEY) as client:
            agent = await client.create_agent(name="tutor")
            thread = (await client.create_thread(agent["id"]))["id"]
            answer, ids, deltas = Answer(), [], 0
            async for event in client.stream(thread, story):
                answer.add(event)
                ids.append(event.id)
                deltas += event.type == "message.delta"
                if deltas == 10 and restarting is None:
                    replica.kill()
                    restarting = asyncio.create_task(replica.start())
            assert restarting is not None
            await restarting
            messages = [each async for each in client.list_messages(thread)]
    finally:
        replica.kill()

    assert answer.text.startswith(f"echo: {story.strip()}")
    assert answer.run is not None
    assert answer.run["status"] == "completed"
    assert len(set(ids)) == len(ids)
    assert [message["content"] for message in messages] == [story, answer.text]
