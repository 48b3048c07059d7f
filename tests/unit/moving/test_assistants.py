"""Imports of what OpenAI's Assistants left behind. The fixtures are validated by the SDK's own types."""

import io
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from openai.types import FileObject
from openai.types.beta import Assistant, Thread
from openai.types.beta.threads import Message
from pydantic import BaseModel

from ai_agents import AgentRunner, AgentStore, Attachments, DiskStore, MessageStore, ThreadStore
from ai_agents.moving.assistants_import import AssistantsImport
from ai_agents.moving.json_values import read_values
from ai_agents.moving.outcomes import Outcome, Unusable
from ai_agents.runner.handle import DatabaseHandle, open_handle
from ai_agents.store import thread_log
from tests.fakes import samples

USER = "ada"
TYPES: Mapping[str, type[BaseModel]] = {
    "assistant": Assistant,
    "thread": Thread,
    "thread.message": Message,
    "file": FileObject,
}


def assistant(**more: Any) -> dict[str, Any]:
    return {
        "id": "asst_1",
        "object": "assistant",
        "created_at": 1_700_000_000,
        "name": "Helper",
        "description": None,
        "instructions": "Be kind.",
        "model": "gpt-4o",
        "tools": [
            {"type": "code_interpreter"},
            {"type": "file_search", "file_search": {"ranking_options": {"score_threshold": 0.0, "ranker": "auto"}}},
            {"type": "function", "function": {"name": "weather", "parameters": {}, "strict": False}},
        ],
        "tool_resources": {"file_search": {"vector_store_ids": ["vs_1"]}},
        "metadata": {"team": "ü"},
        "temperature": 0.5,
        "top_p": 1.0,
        "response_format": "auto",
    } | more


def thread(id: str = "thread_1", **more: Any) -> dict[str, Any]:  # as in the API
    return {
        "id": id, "object": "thread", "created_at": 1_700_000_001, "metadata": {"k": "v"}, "tool_resources": {}
    } | more  # fmt: skip


def message(number: int, role: str, *content: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": f"msg_{number}",
        "object": "thread.message",
        "created_at": 1_700_000_010 + number,
        "assistant_id": "asst_1" if role == "assistant" else None,
        "thread_id": "thread_1",
        "run_id": "run_1" if role == "assistant" else None,
        "role": role,
        "status": "completed",
        "content": [said(each) if isinstance(each, str) else each for each in content],
        "attachments": [],
        "metadata": {},
    } | more


def said(value: str, *annotations: Any) -> dict[str, Any]:
    return {"type": "text", "text": {"value": value, "annotations": list(annotations)}}


def listed(*data: Any, has_more: bool = False) -> dict[str, Any]:
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": None, "last_id": None}
    return {"object": "list", "data": list(data), "has_more": has_more, **ends}


def file(id: str, filename: str) -> dict[str, Any]:  # as in the API
    return {
        "id": id, "object": "file", "bytes": 7, "created_at": 1_700_000_005, "filename": filename,
        "purpose": "assistants", "status": "processed",
    }  # fmt: skip


CITATION = {
    "type": "file_citation",
    "text": "【4:0†source】",
    "start_index": 10,
    "end_index": 22,
    "file_citation": {"file_id": "file-notes"},
}
MADE = {
    "type": "file_path",
    "text": "sandbox:/mnt/data/plot.png",
    "start_index": 5,
    "end_index": 31,
    "file_path": {"file_id": "file-plot"},
}
MESSAGES = [
    message(
        1,
        "user",
        "What is it?",
        {"type": "image_file", "image_file": {"file_id": "file-square", "detail": "auto"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "auto"}},
        attachments=[
            {"file_id": "file-notes", "tools": [{"type": "file_search"}]},
            {"file_id": "file-away", "tools": [{"type": "code_interpreter"}]},
        ],
        metadata={"from": "web"},
    ),
    message(2, "assistant", said("A square, 【4:0†source】", CITATION)),
    message(3, "user", "Plot it."),
    message(4, "assistant", said("See: sandbox:/mnt/data/plot.png", MADE), status="incomplete",
            incomplete_at=1_700_000_020, incomplete_details={"reason": "max_tokens"}),
    message(5, "user", "No."),
    message(6, "assistant", {"type": "refusal", "refusal": "I cannot."}),
    message(7, "user"),
]  # fmt: skip
FILES = [file("file-square", "square.png"), file("file-notes", "notes.txt"), file("file-plot", "plot.png")]


@pytest.fixture
async def conn(sqlite_url: str) -> AsyncIterator[DatabaseHandle]:
    """An empty database."""
    handle = await open_handle(sqlite_url)
    yield handle
    await handle.close(grace_s=0)


@pytest.fixture
def contents(tmp_path: Path) -> Path:
    """The contents of files, as the API gives them one by one."""
    directory = tmp_path / "contents"
    directory.mkdir()
    (directory / "file-square").write_bytes(samples.png(8, 8))
    (directory / "file-notes.txt").write_bytes(b"Remember.")
    return directory


async def imported(conn: DatabaseHandle, *values: Any, layout: int | None = None, **options: Any) -> list[Outcome]:
    told: list[Outcome] = []
    text = "\n".join(value if isinstance(value, str) else json.dumps(value, indent=layout) for value in values)
    await AssistantsImport(conn, told.append, **({"user_id": USER} | options)).run(io.BytesIO(text.encode()))
    return told


@pytest.mark.parametrize("value", [assistant(), thread(), *MESSAGES, *FILES], ids=lambda value: value["id"])
def test_the_fixtures_have_the_form_of_the_sdk(value: dict[str, Any]) -> None:
    TYPES[value["object"]].model_validate(value, strict=True)


async def test_assistants_threads_messages_and_files_become_ours(
    conn: DatabaseHandle, contents: Path, tmp_path: Path
) -> None:
    attachments = Attachments(conn, DiskStore(tmp_path / "files"))
    pages = listed(*reversed(MESSAGES[3:])), listed(*reversed(MESSAGES[:3]))
    values = (*pages, listed(assistant()), thread(), listed(*FILES), {"object": "thread.run", "id": "run_1"})
    options: dict[str, Any] = {"attachments": attachments, "contents": contents}
    told = await imported(conn, *values, **options)

    assert [(each.kind, each.id, each.result) for each in told] == [
        ("object", "run_1", "skipped"), ("assistant", "asst_1", "imported"), ("thread", "thread_1", "imported"),
    ]  # fmt: skip
    unsupported = ("unsupported: code_interpreter", "unsupported: file_search", "unsupported: function weather")
    assert told[1].notes == (*unsupported, "unsupported: tool_resources")
    assert told[2].notes == (
        "6 messages",
        "files without content are named in the texts",
        "files of answers are named in their texts",
        "a message without content left out",
    )
    agent = await AgentStore(conn).get(str(told[1].new_id))
    assert {name: agent[name] for name in ("name", "system_prompt", "provider", "model", "settings", "tools")} == {
        "name": "Helper",
        "system_prompt": "Be kind.",
        "provider": "openai",
        "model": "gpt-4o",
        "settings": {"temperature": 0.5, "top_p": 1.0},
        "tools": [],
    }
    assert agent["metadata"] == {"team": "ü", "openai_id": "asst_1"}
    thread_id = str(told[2].new_id)
    found = await ThreadStore(conn).get(thread_id)
    assert (found["agent_id"], found["metadata"]) == (agent["id"], {"k": "v", "openai_id": "thread_1"})
    assert (found["created_at"], found["last_activity_at"]) == (
        "2023-11-14T22:13:21.000000Z",
        "2023-11-14T22:13:37.000000Z",
    )
    assert [each["id"] for each in (await ThreadStore(conn).list(USER))["data"]] == [thread_id]
    history = (await MessageStore(conn).list(thread_id))["data"]
    assert [(each["seq"], each["role"], each["status"]) for each in history] == [
        (1, "user", "completed"), (2, "assistant", "completed"), (3, "user", "completed"),
        (4, "assistant", "incomplete"), (5, "user", "completed"), (6, "assistant", "completed"),
    ]  # fmt: skip
    assert history[0]["content"] == "What is it?[image: https://example.com/a.png]\n[file: file-away]"
    assert [part["filename"] for part in history[0]["parts"] if part["type"] == "file"] == ["square.png", "notes.txt"]
    assert history[0]["metadata"] == {"from": "web", "openai_id": "msg_1"}
    assert history[1]["metadata"]["annotations"] == [CITATION]
    assert history[3]["content"] == "See: sandbox:/mnt/data/plot.png\n[file: plot.png]"
    assert history[5]["content"] == "I cannot."
    events = await conn.database.read(lambda c: thread_log.list_after(c, thread_id, 0))
    assert [row.seq for row in events] == [1, 2, 3, 4, 5, 6]
    assert (await MessageStore(conn).search("square", user_id=USER))["data"][0]["message"] == history[1]

    # A second time changes nothing, in whatever order and layout; for another user all of it is new.
    again = await imported(conn, *reversed(values), layout=2, **options)
    assert {(each.kind, each.result) for each in again} == {
        ("object", "skipped"), ("assistant", "exists"), ("thread", "exists"),
    }  # fmt: skip
    assert (await MessageStore(conn).list(thread_id))["data"] == history
    other = await imported(conn, *values, **options, user_id="bob")
    assert [each.result for each in other] == ["skipped", "imported", "imported"]
    assert not {each.new_id for each in other[1:]} & {each.new_id for each in told[1:]}

    # The conversation goes on.
    await AgentStore(conn).update(agent["id"], {"provider": "echo", "model": "echo"})
    answer = await AgentRunner(conn, blobs=attachments.blobs).run(thread_id, USER, "And now?")
    assert answer["content"].startswith("echo: And now?")


async def test_messages_of_one_second_have_the_order_of_their_list(conn: DatabaseHandle) -> None:
    same = [message(number, "user", f"{number}", created_at=1_700_000_010) for number in range(5)]
    for values in ([listed(*reversed(same))], same, [{"thread": thread(), "messages": same}]):
        user_id = f"user {len(values)} {len(json.dumps(values))}"
        (_, told) = await imported(conn, assistant(), *values, user_id=user_id)
        history = (await MessageStore(conn).list(str(told.new_id)))["data"]
        assert [each["content"] for each in history] == ["0", "1", "2", "3", "4"]


async def test_a_thread_has_the_agent_that_answered_last_or_the_one_that_is_named(conn: DatabaseHandle) -> None:
    two = [assistant(), assistant(id="asst_2", name="Other")]
    values = [*two, thread(), MESSAGES[0], MESSAGES[1], message(3, "assistant", "Hm.", assistant_id="asst_2")]
    told = await imported(conn, *values)
    assert (await ThreadStore(conn).get(str(told[2].new_id)))["agent_id"] == told[1].new_id

    unknown = [*two, thread("thread_2"), message(9, "assistant", "Hm.", assistant_id="asst_9", thread_id="thread_2")]
    (failed,) = [each for each in await imported(conn, *unknown) if each.result == "failed"]
    assert failed.reason == "line 3: no assistant of the file answered in it; name an agent with --agent"
    own = await AgentStore(conn).create("mine", owner_id=USER)
    mended = await imported(conn, *unknown, agent_id=own["id"])
    assert (await ThreadStore(conn).get(str(mended[-1].new_id)))["agent_id"] == own["id"]
    with pytest.raises(Unusable, match="no such agent"):
        await imported(conn, thread(), agent_id="01985a3e-0000-7000-8000-000000000000")


async def test_what_is_wrong_is_told_by_its_line_and_the_rest_is_imported(conn: DatabaseHandle) -> None:
    bad = [
        '{"object": "thread", "id": ',
        "nonsense",
        '{"object": "assistant"}',
        "[1]",
        '{"x": 1}',
        json.dumps(assistant(id="asst_3", model=None)),
        json.dumps(message(8, "tool", "x", thread_id="thread_8")),
        json.dumps(message(9, "user", {"type": "sound"}, thread_id="thread_9")),
        json.dumps(thread("thread_7", created_at="now")),
        json.dumps(listed(has_more=True)),
    ]
    told = await imported(conn, assistant(), *bad, thread(), *MESSAGES[:2])

    failed = [(each.kind, each.id, each.reason.partition(":")[0]) for each in told if each.result == "failed"]
    assert failed == [
        ("line", "2", "Expecting value"), ("line", "3", "an object or a list is expected"), ("line", "4", "assistant"),
        ("line", "5", "it is no object of the API"), ("line", "6", "it is no object of the API"),
        ("line", "10", "thread"), ("line", "11", "a list says `has_more`"), ("assistant", "asst_3", "line 7"),
        ("thread", "thread_8", "line 8"), ("thread", "thread_9", "line 9"),
    ]  # fmt: skip
    assert [each.id for each in told if each.result == "imported"] == ["asst_1", "thread_1"]
    assert len((await ThreadStore(conn).list(USER))["data"]) == 1


@pytest.mark.parametrize(
    "content,reason",
    [
        (b"", "There is nothing in the file."),
        (b'{\n "a": 1,\n "b": [1,\n 2,,\n 3]\n}', "Line 4: "),
        (b'{"a": 1}\n\xff\xfe', "Line 2: this is no UTF-8."),
        (b"x\n" * 200, "Line 101: more than 100 lines are no JSON."),
        (b"PK\x03\x04\xff\xff", "Line 1: this is no UTF-8."),
    ],
)
async def test_what_is_no_such_file_is_refused(conn: DatabaseHandle, content: bytes, reason: str) -> None:
    with pytest.raises(Unusable) as caught:
        await AssistantsImport(conn, lambda _told: None, user_id=USER).run(io.BytesIO(content))
    assert str(caught.value).startswith(reason)


def test_values_are_read_in_any_layout_and_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ai_agents.moving.json_values._CHUNK_BYTES", 7)
    values: list[Any] = [{"a": "ü" * 50}, [], [1, 2.5, None, '\\"}{'], {"b": {"c": [True]}}]
    for layout in (None, 1):
        for between in ("\n", "", "\r\n\r\n  "):
            text = "\ufeff" + between.join(json.dumps(value, indent=layout, ensure_ascii=False) for value in values)
            read = list(read_values(io.BytesIO(text.encode())))
            assert [value.value for value in read] == values
            assert not any(value.fault for value in read)
    deep = b"[" * 200_000 + b"\n" + b"[1]\n"
    assert next((value.line, bool(value.fault)) for value in read_values(io.BytesIO(deep))) == (1, True)
    assert [value.fault is None for value in read_values(io.BytesIO(b"[" + b"9" * 5_000 + b"]\n{}"))] == [False, True]
