"""What a server tells of its model is known before the first request, and what the model does not take is told."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text

from ai_agents import AgentRunner, AgentStore, Attachments, DatabaseHandle, DiskStore, RunStore, ThreadStore
from ai_agents.context import requests
from ai_agents.context.catalogue import ModelCatalogue, ModelFacts
from ai_agents.core.exceptions import ProviderError
from ai_agents.providers.base import Capabilities
from ai_agents.providers.files import ANY_FILES, NO_FILES
from ai_agents.testing import ScriptedProvider
from tests.fakes.provider_server import FakeProviderServer
from tests.unit.runner.conftest import USER, MakeTalk, OpenThread
from tests.unit.runner.failing import status
from tests.unit.runner.test_attachments import PICTURE

LONG = "word " * 2000


class Telling(ScriptedProvider):
    """Its server tells what the model takes, once it is asked."""

    def __init__(self, *answers: object, window: int | None = None, conn: DatabaseHandle | None = None) -> None:
        super().__init__(*answers)  # type: ignore[arg-type]  # answers of any kind pass through
        self.asked = 0
        self.window = window
        self.conn = conn
        self.never = False
        self.error: Exception | None = None
        self.told = Capabilities(files=NO_FILES)

    def capabilities(self, model: str) -> Capabilities:
        """What is known so far."""
        return self.told

    async def prepare_model(self, model: str) -> None:
        """Ask the server."""
        self.asked += 1
        if self.conn is not None:
            # A transaction that was open meanwhile would let none other write.
            await self.conn.database.write(lambda c: c.execute(text("UPDATE threads SET title = title")))
        if self.never:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        self.told = Capabilities(files=ANY_FILES, context_window=self.window)


@pytest.mark.parametrize("window, sent", [(8_000, 3), (1_000_000, 41)])
async def test_the_first_request_fits_what_the_server_told(make_talk: MakeTalk, window: int, sent: int) -> None:
    talk = await make_talk(scripted=Telling("Hello.", window=window), memory={"strategy": "last_n", "n": 100})
    messages = [{"role": role, "content": LONG} for _ in range(20) for role in ("user", "assistant")]
    thread = await ThreadStore(talk.conn).create(
        agent_id=(await ThreadStore(talk.conn).get(talk.thread_id))["agent_id"], owner_id=USER, messages=messages
    )

    await talk.runner.run(thread["id"], USER, "Hello!")

    assert len(talk.provider.requests[0].messages) == sent


async def test_a_server_is_asked_outside_of_every_transaction(make_talk: MakeTalk) -> None:
    provider = Telling("Hello.")
    talk = await make_talk(scripted=provider)
    provider.conn = talk.conn

    async with asyncio.timeout(60):
        await talk.runner.run(talk.thread_id, USER, "Hello!")

    assert provider.asked == 1


async def test_a_server_that_is_slow_to_tell_holds_one_run_up_for_a_moment(
    make_talk: MakeTalk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "_ASKING_S", 0.05)
    provider = Telling("One.", "Two.")
    provider.never = True
    talk = await make_talk(scripted=provider)

    async with asyncio.timeout(60):
        for content in ("one", "two"):
            await talk.runner.run(talk.thread_id, USER, content)

    assert provider.asked == 1


async def test_a_server_that_fails_to_tell_fails_no_run(make_talk: MakeTalk) -> None:
    provider = Telling("Hello.")
    provider.error = ProviderError("down")
    talk = await make_talk(scripted=provider)

    assert (await talk.runner.run(talk.thread_id, USER, "Hello!"))["content"] == "Hello."


async def test_context_shows_the_window_that_the_server_tells(make_talk: MakeTalk) -> None:
    talk = await make_talk(scripted=Telling(window=8_000))

    view = await talk.runner.context(talk.thread_id, USER)

    assert view["tokens"]["window"] == 8_000


async def test_what_an_admin_set_counts_for_more_than_what_the_server_tells(make_talk: MakeTalk) -> None:
    models = ModelCatalogue({"scripted:": ModelFacts(window=16_000)})
    talk = await make_talk(scripted=Telling(window=8_000), models=models)

    assert (await talk.runner.context(talk.thread_id, USER))["tokens"]["window"] == 16_000


async def test_a_picture_in_the_first_message_reaches_a_model_of_which_the_server_tells_that_it_sees(
    conn: DatabaseHandle, tmp_path: Path
) -> None:
    provider = Telling("A square.", conn=conn)
    attachments = Attachments(conn, DiskStore(tmp_path / "files"))
    runner = AgentRunner(conn, provider=provider, blobs=attachments.blobs)
    agent = await AgentStore(conn).create("assistant")
    thread = await ThreadStore(conn).create(agent["id"], owner_id=USER)
    file = await attachments.add(USER, "square.png", PICTURE)

    async with asyncio.timeout(60):
        answer = await runner.run(thread["id"], USER, "What is it?", attachments=[file["id"]])

    assert answer["content"] == "A square."


# Models of which it is known, or not known, that they take a temperature.
COLD = {"provider": "anthropic", "model": "claude-of-the-future", "settings": {"temperature": 0.5}}


async def test_a_run_and_its_context_tell_what_the_model_does_not_take(
    fake: FakeProviderServer, open_thread: OpenThread
) -> None:
    thread = await open_thread("anthropic", **COLD)

    outcome = await thread.ask()
    view = await thread.runner.context(thread.id, USER)

    [notice] = outcome.run["notices"]
    assert (notice["code"], notice.get("setting")) == ("setting_left_out", "temperature")
    assert "the quirk sampling" in str(notice.get("reason"))
    assert view["notices"] == outcome.run["notices"]
    assert "temperature" not in fake.requests[0].json


async def test_a_fallback_tells_it_once(fake: FakeProviderServer, open_thread: OpenThread) -> None:
    fallback = {"provider": "anthropic", "model": "claude-of-another-future"}
    thread = await open_thread("anthropic", **COLD, fallbacks=[fallback])
    fake.script("anthropic", [status(401)])

    outcome = await thread.ask()

    [notice] = outcome.run["notices"]
    assert str(notice.get("reason")).startswith("claude-of-another-future")
    stored = await RunStore(thread.conn).get(thread.id, outcome.run["id"])
    assert stored["notices"] == outcome.run["notices"]


async def test_nothing_is_told_where_all_is_taken(fake: FakeProviderServer, open_thread: OpenThread) -> None:
    thread = await open_thread("openai", settings={"temperature": 0.5})

    outcome = await thread.ask()

    assert outcome.run["notices"] == []
    assert fake.requests[0].json["temperature"] == 0.5
