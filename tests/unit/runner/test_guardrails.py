"""Guardrails in runs: on messages, answers, results of tools, and texts of jobs."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from ai_agents import (
    AgentRunner,
    AgentStore,
    DatabaseHandle,
    DiskStore,
    RunStore,
)
from ai_agents.core.exceptions import GuardrailBlocked, InvalidOutput, ProviderError, ThreadNotFound
from ai_agents.core.types import JsonObject, ReasoningPart, TextPart, ToolCallPart
from ai_agents.providers.registry import ProviderPool
from ai_agents.store.provider_tables import ModelCallTable
from ai_agents.testing import ScriptedProvider, tool_call
from tests.present import present
from tests.unit.runner.conftest import USER
from tests.unit.runner.guarded import TIMEOUT_S, R, Say, Stage, blocklist


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Guardrails do not depend on the database."""
    return sqlite_url


async def stream_of(stage: Stage, content: str = "Go.") -> tuple[str, list[str], JsonObject]:
    """What the deltas of a streamed run add up to, the types of its events, and the data of the last."""
    said, last = "", {}
    kinds: list[str] = []
    async with asyncio.timeout(TIMEOUT_S):
        with suppress(GuardrailBlocked, InvalidOutput):  # raised after the event that tells of it
            async for event in stage.runner.stream(stage.thread_id, USER, content):
                said += str(event)
                kinds.append(event.type)
                last = dict(event.data)
    return said, kinds, last


async def test_forbidden_text_leaves_neither_in_deltas_nor_in_the_message(conn: DatabaseHandle) -> None:
    stage = await Stage(conn, list("It is a SeCrEt, yes.")).open(blocklist("secret"))
    said, kinds, last = await stream_of(stage)
    assert said == f"It is a {R}, yes."
    assert [kind for kind in kinds if kind != "message.delta"] == [
        "run.started", "message.started", "guardrail.triggered", "message.completed", "run.completed",
    ]  # fmt: skip
    assert last["run"]["status"] == "completed"
    assert (await stage.history())[-1]["content"] == f"It is a {R}, yes."
    await stage.nowhere("secret")


async def test_text_is_shown_as_it_comes_and_not_at_the_end(conn: DatabaseHandle) -> None:
    gate = asyncio.Event()
    stage = await Stage(conn, ["All of this is fine, and ", gate, "so is the rest."]).open(blocklist("a secret"))
    said = ""
    async with asyncio.timeout(TIMEOUT_S):
        async for event in stage.runner.stream(stage.thread_id, USER, "Go."):
            said += str(event)
            # One character may still compose with the next.
            if said == "All of this is fine, and":
                gate.set()
    assert gate.is_set()
    assert said == "All of this is fine, and so is the rest."


async def test_a_block_ends_the_run_and_keeps_the_allowed_text(conn: DatabaseHandle) -> None:
    stage = await Stage(conn, list("Well, the secret is out.")).open(blocklist("secret", action="block"))
    said, kinds, last = await stream_of(stage)
    assert said == "Well, the "
    assert kinds[-3:] == ["guardrail.triggered", "message.completed", "run.failed"]
    assert last["problem"]["code"] == "guardrail_blocked"
    assert (last["problem"]["guardrail"], last["discard"]) == ("blocklist", [])
    message = (await stage.history())[-1]
    assert (message["status"], message["content"]) == ("incomplete", "Well, the ")
    await stage.nowhere("secret")
    stage.provider.answers = ["secret"]
    with pytest.raises(GuardrailBlocked):
        await stage.runner.run(stage.thread_id, USER, "Again.")


async def test_a_block_before_any_text_leaves_no_message(conn: DatabaseHandle) -> None:
    stage = await Stage(conn, "secret").open(blocklist("secret", action="block"))
    run = await stage.ask()
    assert (run["status"], present(run["error"])["code"]) == ("failed", "guardrail_blocked")
    assert [message["role"] for message in await stage.history()] == ["user"]
    assert present(run["usage"])["estimated"]
    stage.provider.answers = ["fine"]
    assert (await stage.ask())["status"] == "completed"


async def test_held_text_is_dropped_when_the_run_is_cancelled(conn: DatabaseHandle) -> None:
    gate = asyncio.Event()
    stage = await Stage(conn, ["The word is secr", gate]).open(blocklist("secret"))
    started = await stage.runner.start(stage.thread_id, USER, "Go.", follow=True)
    reader = await stage.runner.read_started(started)
    said = ""
    async with asyncio.timeout(TIMEOUT_S):
        async for event in reader.events():
            said += str(event)
            if said == "The word is ":
                await stage.runner.cancel(stage.thread_id, started.run["id"])
    assert said == "The word is "
    message = (await stage.history())[-1]
    assert (message["status"], message["content"]) == ("incomplete", "The word is ")


async def test_a_held_answer_that_breaks_off_is_requested_again(conn: DatabaseHandle) -> None:
    broken = ["secre", ProviderError("cut", retryable=True)]
    stage = await Stage(conn, broken, "All is well.").open(blocklist("secret"))
    run = await stage.ask()
    assert (run["status"], run["attempt"]) == ("completed", 2)
    assert (await stage.history())[-1]["content"] == "All is well."


async def test_arguments_are_judged_too(conn: DatabaseHandle) -> None:
    call = ToolCallPart("call_1", "say", {"what": "the secret", "secret": 1})
    say = Say("fine")
    stage = await Stage(conn, [call], [tool_call("say", what="a secret")], "Done.", tool=say).open(blocklist("secret"))
    assert (await stage.ask())["status"] == "completed"
    # An argument whose name is not allowed is none that the tool knows.
    assert say.asked == [f"a {R}"]
    await stage.nowhere("secret")


async def test_a_blocked_argument_is_never_run(conn: DatabaseHandle) -> None:
    say = Say("fine")
    stage = await Stage(conn, [tool_call("say", what="the secret")], tool=say).open(blocklist("secret", action="block"))
    run = await stage.ask()
    assert (run["status"], present(run["error"])["code"]) == ("failed", "guardrail_blocked")
    assert say.asked == []
    await stage.nowhere("secret")


async def test_the_name_of_an_unknown_tool_is_judged_like_text(conn: DatabaseHandle) -> None:
    stage = await Stage(conn, [tool_call("secret_tool")], "Done.").open(blocklist("secret"))
    assert (await stage.ask())["status"] == "completed"
    await stage.nowhere("secret")


async def test_a_tools_result_passes_the_input_guardrails(conn: DatabaseHandle) -> None:
    stage = await Stage(conn, [tool_call("say")], "Done.", tool=Say({"told": ["a secret"]})).open(
        blocklist("secret", stage="input")
    )
    run = await stage.ask()
    (result,) = (await stage.history())[2]["parts"]
    assert (result["result"], result["is_error"]) == ({"told": [f"a {R}"]}, False)
    triggered = [data for kind, data in await stage.events(run) if kind == "guardrail.triggered"]
    assert [(each["guardrail"], each["stage"], each["action"]) for each in triggered] == [
        ("blocklist", "input", "redact")
    ]
    await stage.nowhere("secret")


async def test_a_blocked_result_is_withheld_and_the_model_is_told(conn: DatabaseHandle) -> None:
    guardrail = blocklist("secret", stage="input", action="block")
    stage = await Stage(conn, [tool_call("say")], "Then not.").open(guardrail)
    assert (await stage.ask())["status"] == "completed"
    (result,) = (await stage.history())[2]["parts"]
    assert result["is_error"]
    assert result["result"] == "The result was withheld: the guardrail blocklist does not allow it."
    await stage.nowhere("secret")


async def test_a_long_result_is_judged_before_it_is_kept(conn: DatabaseHandle, tmp_path: Path) -> None:
    blobs = DiskStore(tmp_path / "files")
    says = Say("x " * 60_000 + "the secret")
    stage = await Stage(conn, [tool_call("say")], "Done.", tool=says, blobs=blobs).open(
        blocklist("secret", stage="input")
    )
    await stage.ask()
    contents = [path.read_bytes() for path in (tmp_path / "files").rglob("*") if path.is_file()]
    assert any(len(content) > 100_000 for content in contents)
    assert not any(b"secret" in content for content in contents)


async def test_a_message_that_is_blocked_is_not_stored(conn: DatabaseHandle) -> None:
    stage = await Stage(conn).open(blocklist("secret", stage="input", action="block"))
    with pytest.raises(GuardrailBlocked) as blocked:
        await stage.ask("Here is a s\u200becret.")
    assert (blocked.value.guardrail, blocked.value.stage) == ("blocklist", "input")
    assert "secret" not in str(blocked.value)
    assert await stage.history() == []
    assert (await RunStore(conn).list(stage.thread_id))["data"] == []
    assert stage.provider.requests == []


async def test_a_message_is_redacted_before_it_is_stored_or_sent(conn: DatabaseHandle) -> None:
    stage = await Stage(conn, "Noted.").open({"type": "pii", "stage": "input", "action": "redact"})
    run = await stage.ask("I am ada@example.com.")
    assert (await stage.history())[0]["content"] == f"I am {R}."
    assert stage.provider.requests[0].messages[-1].parts == (TextPart(f"I am {R}."),)
    assert [kind for kind, _ in await stage.events(run)][:2] == ["run.started", "guardrail.triggered"]
    await stage.nowhere("ada@")


async def test_a_stranger_learns_nothing_of_guardrails(conn: DatabaseHandle) -> None:
    stage = await Stage(conn).open(blocklist("secret", stage="input", action="block"))
    with pytest.raises(ThreadNotFound):
        await stage.runner.start(stage.thread_id, "bob", "a secret")


async def test_a_replayed_message_returns_its_run_even_if_guardrails_block_it_now(conn: DatabaseHandle) -> None:
    stage = await Stage(conn, "Noted.").open()
    first = await stage.runner.start(stage.thread_id, USER, "a secret", idempotency_key="k", fingerprint="f")
    await stage.runner.wait(stage.thread_id, first.run["id"])
    guardrail = blocklist("secret", stage="input", action="block")
    await AgentStore(conn).update(first.run["agent_id"], {"guardrails": [guardrail]})
    again = await stage.runner.start(stage.thread_id, USER, "a secret", idempotency_key="k", fingerprint="f")
    assert (again.replayed, again.run["id"]) == (True, first.run["id"])
    with pytest.raises(GuardrailBlocked):
        await stage.ask("a secret")


async def test_a_judge_holds_an_answer_until_its_verdict(conn: DatabaseHandle) -> None:
    judge = ScriptedProvider('{"allowed": true, "reason": "fine"}', '{"allowed": false, "reason": "not"}')
    judge.name = "judge"
    guardrail = {"type": "judge", "provider": "judge", "model": "j", "policy": "Be kind.", "stage": "output"}
    stage = await Stage(conn).open(guardrail)
    pool = ProviderPool()
    pool.add(judge)
    stage.runner = AgentRunner(conn, provider=stage.provider, providers=pool)
    stage.provider.answers = [list("You are nice."), list("You are not.")]
    said, _, _ = await stream_of(stage)
    assert said == "You are nice."
    said, kinds, last = await stream_of(stage)
    assert (said, last["problem"]["code"]) == ("", "guardrail_blocked")
    assert "message.completed" not in kinds
    calls = await conn.database.read(lambda c: c.execute(select(ModelCallTable.provider, ModelCallTable.run_id)).all())
    assert sum(call.provider == "judge" and call.run_id is not None for call in calls) == 2


async def test_a_guardrail_that_is_not_registered_here_lets_nothing_run(conn: DatabaseHandle) -> None:
    stage = await Stage(conn, "Hello.").open({"type": "of_another_process"})
    with pytest.raises(Exception, match="no guardrail of this type"):
        await stage.ask()
    assert stage.provider.requests == []


async def test_reasoning_that_is_shown_is_judged(conn: DatabaseHandle) -> None:
    from ai_agents.core.types import PartDelta, PartEnd, PartStart, ResponseEnd, Usage

    class Thinks(ScriptedProvider):
        """Thinks aloud before it answers."""

        async def stream(self, request: Any) -> Any:
            thought = "the secret plan"
            yield PartStart(0, "reasoning")
            for character in thought:
                yield PartDelta(0, "reasoning", character)
            yield PartEnd(0, ReasoningPart(thought, origin={"provider": "scripted", "signature": "s"}))
            yield PartStart(1, "text")
            yield PartDelta(1, "text", "Yes.")
            yield PartEnd(1, TextPart("Yes."))
            yield ResponseEnd("end", Usage(), "m")

    stage = Stage(conn)
    stage.runner = AgentRunner(conn, provider=Thinks())
    await stage.open(blocklist("secret"), settings={"reasoning": "low"})
    await stage.ask()
    parts = (await stage.history())[-1]["parts"]
    assert [(part["type"], part["text"]) for part in parts] == [("reasoning", f"the {R} plan"), ("text", "Yes.")]
    await stage.nowhere("secret")
    await stage.nowhere("signature")


async def test_stored_origins_hold_no_forbidden_text(conn: DatabaseHandle) -> None:
    said = {"provider": "scripted", "reasoning_content": "the secret plan", "signature": "secret"}
    kept = {"provider": "scripted", "reasoning_content": "a plan", "signature": "it may say secret"}
    calls = [ToolCallPart("call_1", "say", {}, origin=said), ToolCallPart("call_2", "say", {}, origin=kept)]
    stage = await Stage(conn, calls, "Done.", tool=Say("fine")).open(blocklist("secret"))
    await stage.ask()
    (request,) = stage.provider.requests[1:]
    origins = [part.origin for part in request.messages[-2].parts if isinstance(part, ToolCallPart)]
    assert origins == [None, kept]
    stored = await conn.database.read(lambda c: c.execute(text("SELECT parts FROM messages")).all())
    assert "the secret plan" not in str(stored)


async def test_findings_in_a_cancelled_answer_are_recorded(conn: DatabaseHandle) -> None:
    gate = asyncio.Event()
    stage = await Stage(conn, ["The secret is out, and ", gate]).open(blocklist("secret"))
    started = await stage.runner.start(stage.thread_id, USER, "Go.", follow=True)
    reader = await stage.runner.read_started(started)
    kinds: list[str] = []
    async with asyncio.timeout(TIMEOUT_S):
        async for event in reader.events():
            kinds.append(event.type)
            if event.type == "message.delta" and "run.cancelled" not in kinds:
                await stage.runner.cancel(stage.thread_id, started.run["id"])
    assert kinds[-3:] == ["guardrail.triggered", "message.completed", "run.cancelled"]


async def test_findings_in_a_kept_answer_that_broke_off_are_recorded(conn: DatabaseHandle) -> None:
    broken = ["The secret is out.", ProviderError("cut", retryable=True)]
    stage = await Stage(conn, broken).open(blocklist("secret"), settings={"on_cut": "keep"})
    _, kinds, last = await stream_of(stage)
    assert last["run"]["stop_reason"] == "cut"
    assert kinds[-3:] == ["guardrail.triggered", "message.completed", "run.completed"]


async def test_findings_in_a_void_answer_are_not_recorded(conn: DatabaseHandle) -> None:
    broken = ["The secret is out.", ProviderError("cut", retryable=True)]
    stage = await Stage(conn, broken, "All is well.").open(blocklist("secret"))
    _, kinds, _ = await stream_of(stage)
    assert "guardrail.triggered" not in kinds


async def test_reasoning_does_not_wait_for_held_text_before_it(conn: DatabaseHandle) -> None:
    from ai_agents.core.types import PartDelta, PartEnd, PartStart, ResponseEnd, Usage

    gate = asyncio.Event()

    class Interleaves(ScriptedProvider):
        """Begins to speak, and then thinks for long."""

        async def stream(self, request: Any) -> Any:
            yield PartStart(0, "text")
            yield PartDelta(0, "text", "It is se")
            yield PartEnd(0, TextPart("It is se"))
            yield PartStart(1, "reasoning")
            yield PartDelta(1, "reasoning", "Let me think: ")
            await gate.wait()
            yield PartDelta(1, "reasoning", "done")
            yield PartEnd(1, ReasoningPart("Let me think: done"))
            yield PartStart(2, "text")
            yield PartDelta(2, "text", "ven.")
            yield PartEnd(2, TextPart("ven."))
            yield ResponseEnd("end", Usage(), "m")

    stage = Stage(conn)
    stage.runner = AgentRunner(conn, provider=Interleaves())
    await stage.open(blocklist("secret"), settings={"reasoning": "low"})
    async with asyncio.timeout(TIMEOUT_S):
        async for event in stage.runner.stream(stage.thread_id, USER, "Go."):
            if event.type == "reasoning.delta":
                gate.set()
    message = (await stage.history())[-1]
    assert message["content"] == "It is seven."
    assert [part["type"] for part in message["parts"]] == ["text", "reasoning", "text"]


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


@pytest.mark.parametrize(
    "source",
    [
        '{"a": "s\\u0065cret"}',
        '{"a": "one\\nsecret"}',
        '{"a": "s\\u0000ecret"}',
        '{"a": "fine", "s\\u0065cret": 1}',
        # None that can be read, in whatever way it is broken.
        '{"a": "s\\u0065cret"',
        '{"a": "s\\u0065cret\\ud83d"}',
    ],
)
@pytest.mark.parametrize("action", ["redact", "block"])
async def test_structured_output_is_judged_by_its_values(conn: DatabaseHandle, source: str, action: str) -> None:
    word = blocklist("/\\bsecret\\b/", action=action)
    stage = await Stage(conn, list(source), '{"a": "better"}', '{"a": "better"}').open(word, output_schema=SCHEMA)
    said, _, last = await stream_of(stage)
    assert "u0065" not in said
    assert "secret" not in said
    if action == "block":
        assert last["problem"]["code"] == "guardrail_blocked"
    else:
        assert last["run"]["status"] == "completed"
        for message in await stage.history():
            assert "u0065" not in message["content"]
            assert "secret" not in message["content"]
    await stage.nowhere("u0065")
    await stage.nowhere("secret")


async def test_text_outside_the_value_of_structured_output_is_not_shown(conn: DatabaseHandle) -> None:
    source = '{"a": "s\\u0065cret", "a": "fine"}'
    stage = await Stage(conn, list(source)).open(blocklist("secret", action="block"), output_schema=SCHEMA)
    said, _, _ = await stream_of(stage)
    assert said == '{"a":"fine"}'
    await stage.nowhere("u0065")


async def test_structured_output_without_a_finding_is_as_the_model_wrote_it(conn: DatabaseHandle) -> None:
    source = '{\n  "a" : "it is fine",\n  "b": 1.50 }'
    stage = await Stage(conn, list(source)).open(blocklist("secret"), output_schema=SCHEMA)
    said, _, _ = await stream_of(stage)
    assert said == source
    assert (await stage.history())[-1]["content"] == source


async def test_a_malformed_tool_call_is_judged_as_text(conn: DatabaseHandle) -> None:
    call = ToolCallPart("call_1", "say", {}, malformed='{"what": "s\\u0065cret"')
    stage = await Stage(conn, [call], "Done.").open(blocklist("secret"))
    await stage.ask()
    await stage.nowhere("u0065")
