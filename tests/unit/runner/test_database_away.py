"""A database that is away for a while: a run waits for it, and goes on where it was."""

from typing import Any

import pytest

from ai_agents import MessageStore, RunStore, ToolRegistry
from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.runner.inputs import InputReader
from ai_agents.testing import tool_call
from tests.unit.runner.conftest import USER, MakeTalk

FAILURES = 2


@pytest.mark.parametrize("method", ["read", "write"])
async def test_a_run_outlasts_an_outage(make_talk: MakeTalk, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    talk = await make_talk([tool_call("calculator", expression="6*7")], "It is 42.", tools=ToolRegistry())
    original = getattr(talk.conn.database, method)
    failed = 0

    async def fail_at_first(*arguments: Any, **options: Any) -> Any:
        nonlocal failed
        if failed < FAILURES:
            failed += 1
            raise DatabaseUnavailable
        return await original(*arguments, **options)

    # As where the window is long: a short one is read with the admission.
    monkeypatch.setattr(InputReader, "read_early", lambda _reader, _connection, _run: None)
    started = await talk.runner.start(talk.thread_id, USER, "6*7?")
    monkeypatch.setattr(talk.conn.database, method, fail_at_first)
    ended = talk.conn.executor.find_ended(started.run["id"])
    assert ended is not None
    await ended
    assert failed == FAILURES
    run = await RunStore(talk.conn).get(talk.thread_id, started.run["id"])
    assert (run["status"], run["attempt"]) == ("completed", 1)
    history = (await MessageStore(talk.conn).list(talk.thread_id))["data"]
    assert [message["role"] for message in history] == ["user", "assistant", "tool", "assistant"]


async def test_a_short_window_is_read_with_the_admission(make_talk: MakeTalk, monkeypatch: pytest.MonkeyPatch) -> None:
    talk = await make_talk("one", "two")
    await talk.runner.run(talk.thread_id, USER, "the first time the ratios of models are read, too")
    started = await talk.runner.start(talk.thread_id, USER, "and now?")

    async def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("the turn was prepared already")

    with monkeypatch.context() as patch:
        patch.setattr(talk.conn.database, "read", never)
        ended = talk.conn.executor.find_ended(started.run["id"])
        assert ended is not None
        await ended
    assert (await RunStore(talk.conn).get(talk.thread_id, started.run["id"]))["status"] == "completed"
