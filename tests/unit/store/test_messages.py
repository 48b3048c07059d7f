"""Messages: their public form, their place in the history, and their list."""

from typing import Any

import pytest
from sqlalchemy import Connection

from ai_agents.core.exceptions import InvalidCursor, MessageNotFound
from ai_agents.core.ids import new_id, utc_now
from ai_agents.core.rows import Message
from ai_agents.core.table_rows import MessageRow
from ai_agents.core.types import (
    FilePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    Usage,
)
from ai_agents.store.database import Database
from ai_agents.store.files import insert_file
from ai_agents.store.message_store import MessageStore
from ai_agents.store.messages import insert_message, place_message, to_public
from ai_agents.store.threads import ThreadStore


async def test_a_message_has_every_field_of_the_contract_in_its_order(database: Database, thread_id: str) -> None:
    now, run_id, message_id = utc_now(), new_id(), new_id()
    file = await database.write(
        lambda c: insert_file(
            c, "ann", filename="a.png", media_type="image/png", size_bytes=7, sha256="0" * 64, facts={"width": 1}
        )
    )
    parts: list[Part] = [
        ReasoningPart("hm", {"provider": "p", "signature": "s"}),
        TextPart("Hello "),
        ToolCallPart("c1", "calculator", {"b": 1, "a": 2}, malformed=None, origin={"id": "toolu_1"}),
        TextPart("there"),
        FilePart(file["id"], "a.png", "image/png", 7, facts={"width": 1}),
    ]
    message = await database.write(
        lambda c: insert_message(
            c,
            message_id=message_id,
            thread_id=thread_id,
            run_id=run_id,
            seq=3,
            role="assistant",
            parts=parts,
            status="incomplete",
            user_id=None,
            usage=Usage(1, 2, None, 0, estimated=True),
            cost={"currency": "USD", "amount": "0.1"},
            metadata={"k": [1]},
            created_at=now,
        )
    )
    assert list(message.items()) == [
        ("id", message_id),
        ("thread_id", thread_id),
        ("run_id", run_id),
        ("seq", 3),
        ("role", "assistant"),
        ("content", "Hello there"),
        (
            "parts",
            [
                {"type": "reasoning", "text": "hm"},
                {"type": "text", "text": "Hello "},
                {"type": "tool_call", "tool_call_id": "c1", "name": "calculator", "arguments": {"b": 1, "a": 2}},
                {"type": "text", "text": "there"},
                {
                    "type": "file",
                    "file_id": file["id"],
                    "filename": "a.png",
                    "media_type": "image/png",
                    "size_bytes": 7,
                },
            ],
        ),
        ("status", "incomplete"),
        ("user_id", None),
        (
            "usage",
            {
                "input_tokens": 1,
                "output_tokens": 2,
                "cached_input_tokens": None,
                "reasoning_tokens": 0,
                "estimated": True,
            },
        ),
        ("cost", {"currency": "USD", "amount": "0.1"}),
        ("metadata", {"k": [1]}),
        ("created_at", now),
    ]
    assert await MessageStore(database).get(thread_id, message_id) == message
    call = message["parts"][2]
    assert call["type"] == "tool_call"
    assert list(call["arguments"]) == ["b", "a"]


@pytest.mark.parametrize(
    "result, content", [("2", "2"), ({"a": 1}, '{"a":1}'), (2.5, "2.5"), (None, "null"), (True, "true")]
)
def test_the_content_of_a_tool_message_is_what_the_tool_answered(result: object, content: str) -> None:
    stored = {"type": "tool_result", "tool_call_id": "c", "name": "n", "result": result, "is_error": False}
    row: Any = dict.fromkeys(MessageRow.__annotations__)
    row["parts"] = [stored]
    assert to_public(row)["content"] == content


async def test_a_queued_message_is_found_but_not_listed(database: Database, thread_id: str) -> None:
    store = MessageStore(database)
    message = await database.write(lambda c: _say(c, thread_id, "later", seq=None))
    assert (message["seq"], message["status"]) == (None, "queued")
    assert await store.get(thread_id, message["id"]) == message
    for order in ("asc", "desc"):
        assert (await store.list(thread_id, order=order))["data"] == []
    placed = await database.write(lambda c: place_message(c, message["id"], 7))
    assert placed == {**message, "seq": 7, "status": "completed"}
    assert (await store.list(thread_id))["data"] == [placed]


async def test_the_history_comes_in_pages_from_either_end(database: Database, thread_id: str) -> None:
    store = MessageStore(database)
    seqs = [1, 4, 5, 9, 10]
    for seq in seqs:
        await database.write(lambda c, s=seq: _say(c, thread_id, str(s), seq=s))  # type: ignore[misc]  # bound now
    for order, expected in (("asc", [[1, 4], [5, 9], [10]]), ("desc", [[10, 9], [5, 4], [1]])):
        after: str | None = None
        pages = []
        for _ in expected:
            page = await store.list(thread_id, limit=2, after=after, order=order)  # type: ignore[arg-type]  # as above
            pages.append([message["seq"] for message in page["data"]])
            after = page["next"]
        assert (pages, after) == (expected, None)
    with pytest.raises(InvalidCursor):
        await store.list(thread_id, after="nonsense")


async def test_a_message_is_found_in_its_own_thread(database: Database, threads: ThreadStore, agent_id: str) -> None:
    one, other = [(await threads.create(agent_id))["id"] for _ in range(2)]
    message = await database.write(lambda c: _say(c, one, "x", seq=1))
    store = MessageStore(database)
    for thread_id, message_id in ((other, message["id"]), (one, new_id()), (one, "nonsense")):
        with pytest.raises(MessageNotFound):
            await store.get(thread_id, message_id)
    assert (await store.list(other))["data"] == []
    with pytest.raises(MessageNotFound):
        await database.write(lambda c: place_message(c, new_id(), 1))


def _say(connection: Connection, thread_id: str, text: str, *, seq: int | None) -> Message:
    return insert_message(
        connection,
        message_id=new_id(),
        thread_id=thread_id,
        run_id=None,
        seq=seq,
        role="user",
        parts=[TextPart(text)],
        status="queued" if seq is None else "completed",
        user_id="ann",
        usage=None,
        metadata={},
        created_at=utc_now(),
    )
