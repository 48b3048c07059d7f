"""History as memory strategies read it: the right rows, and no more rows read than returned."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import Connection, event, update

from ai_agents.agents import AgentStore
from ai_agents.core.ids import new_id, utc_now
from ai_agents.core.types import (
    MessageRole,
    ModelMessage,
    Part,
    ReasoningPart,
    StoredSummary,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from ai_agents.memory.strategies import FirstLast, LastN, Summarize, TokenWindow
from ai_agents.store.database import Database
from ai_agents.store.history import History
from ai_agents.store.messages import insert_message, insert_messages
from ai_agents.store.models import MessageTable
from ai_agents.store.summaries import insert_summary
from ai_agents.store.threads import ThreadStore
from tests.unit.memory.histories import ListHistory

RUN = new_id()


@pytest.fixture
async def spoken(database: Database, thread_id: str) -> str:
    """A thread of two turns and a queued message, with other log rows between the messages."""
    said: list[tuple[int | None, MessageRole, list[Part], str | None]] = [
        (2, "user", [TextPart("1+1?")], RUN),
        (3, "assistant", [ReasoningPart("hm", {"signature": "s"}), ToolCallPart("c", "calc", {"b": 1, "a": 2})], RUN),
        (5, "tool", [ToolResultPart("c", "calc", {"v": 2}, is_error=True)], RUN),
        (6, "assistant", [TextPart("2")], RUN),
        (9, "user", [TextPart("thanks")], None),
        (10, "assistant", [TextPart("welcome")], None),
        (None, "user", [TextPart("later")], None),
    ]

    def work(connection: Connection) -> None:
        for seq, role, parts, run_id in said:
            insert_message(
                connection,
                message_id=new_id(),
                thread_id=thread_id,
                run_id=run_id,
                seq=seq,
                role=role,
                parts=parts,
                status="completed",
                user_id=None,
                usage=None,
                metadata={},
                created_at=utc_now(),
            )

    await database.write(work)
    return thread_id


async def test_each_question_has_its_answer_in_order(database: Database, spoken: str) -> None:
    async def ask(question: Callable[[History], list[ModelMessage]], through_seq: int | None = None) -> list[int]:
        found = await database.read(lambda c: question(History(c, spoken, through_seq=through_seq)))
        return [message.seq or 0 for message in found]

    assert await ask(lambda h: h.latest(3)) == [6, 9, 10]
    assert await ask(lambda h: h.latest(99)) == [2, 3, 5, 6, 9, 10]
    assert await ask(lambda h: h.latest(2, before_seq=9)) == [5, 6]
    assert await ask(lambda h: h.latest(2, before_seq=2)) == []
    assert await ask(lambda h: h.latest(2), through_seq=5) == [3, 5]
    assert await ask(lambda h: h.latest(2, before_seq=99), through_seq=5) == [3, 5]
    assert await ask(lambda h: h.first(2)) == [2, 3]
    assert await ask(lambda h: h.first(9), through_seq=3) == [2, 3]
    assert await ask(lambda h: h.after(5)) == [6, 9, 10]
    assert await ask(lambda h: h.after(0, limit=2)) == [2, 3]
    assert await ask(lambda h: h.after(5), through_seq=6) == [6]
    assert await ask(lambda h: h.run_messages(RUN)) == [2, 3, 5, 6]
    assert await ask(lambda h: h.run_messages(RUN), through_seq=3) == [2, 3]
    assert await ask(lambda h: h.run_messages(new_id())) == []


async def test_a_turn_begins_with_its_users_message(database: Database, spoken: str) -> None:
    def starts(connection: Connection) -> list[int]:
        return [History(connection, spoken).turn_start(seq) for seq in (1, 2, 3, 6, 8, 9, 10, 999)]

    assert await database.read(starts) == [1, 2, 2, 2, 2, 9, 9, 9]
    assert await database.read(lambda c: History(c, spoken, through_seq=8).turn_start(10)) == 2


async def test_what_a_provider_refused_is_no_answer_to_any_question(database: Database, spoken: str) -> None:
    refuse = update(MessageTable).where(MessageTable.run_id == RUN).values(refused=True)
    await database.write(lambda c: c.execute(refuse).close())

    async def ask(question: Callable[[History], Any]) -> Any:
        found = await database.read(lambda c: question(History(c, spoken)))
        return [message.seq for message in found] if isinstance(found, list) else found

    assert await ask(lambda h: h.latest(9)) == [9, 10]
    assert await ask(lambda h: h.latest(9, before_seq=9)) == []
    assert await ask(lambda h: h.first(1)) == [9]
    assert await ask(lambda h: h.after(2)) == [9, 10]
    assert await ask(lambda h: h.turn_start(10)) == 9
    assert await ask(lambda h: h.turn_start(6)) == 6
    assert await ask(lambda h: h.count(after_seq=0, through_seq=99)) == 2
    assert await ask(lambda h: h.refused(9, after_seq=0)) == [2, 3, 5, 6]
    assert await ask(lambda h: h.refused(2, after_seq=2)) == [5, 6]
    for strategy in LastN(), LastN(2, 2), FirstLast(), TokenWindow(), Summarize():
        window = await database.read(lambda c, s=strategy: s.window(History(c, spoken)))  # type: ignore[misc]  # bound now
        assert [message.seq for message in window.messages] == [9, 10]


async def test_a_turn_before_the_first_users_message_begins_with_the_thread(database: Database, thread_id: str) -> None:
    def starts(connection: Connection) -> list[int]:
        return [History(connection, thread_id).turn_start(seq) for seq in (1, 2, 3)]

    assert await database.read(starts) == [1, 2, 3]
    said: list[tuple[int | None, MessageRole]] = [(2, "assistant"), (3, "assistant"), (None, "user"), (7, "user")]
    await database.write(lambda c: _say(c, thread_id, said))
    assert await database.read(starts) == [1, 2, 2]
    assert await database.read(lambda c: History(c, thread_id).turn_start(8)) == 7


async def test_messages_are_counted_between_two_rows(database: Database, spoken: str) -> None:
    def counts(connection: Connection) -> list[int]:
        history = History(connection, spoken)
        between = [(0, 99), (2, 6), (3, 5), (6, 8), (9, 9)]
        return [history.count(after_seq=after, through_seq=through) for after, through in between]

    assert await database.read(counts) == [6, 3, 1, 0, 0]
    assert await database.read(lambda c: History(c, spoken, through_seq=5).count(after_seq=0, through_seq=99)) == 3


@pytest.mark.parametrize("opening", ["", "greeting"])
async def test_windows_in_steps_are_the_same_on_every_database(
    database: Database, thread_id: str, opening: str
) -> None:
    """As those of a list in memory, also over the ends of blocks."""
    roles: list[MessageRole] = [*(["assistant"] if opening else []), *["user", "assistant", "assistant"] * 120]  # type: ignore[list-item]  # the names of roles
    seqs = [2 * index + index // 7 + 1 for index in range(len(roles))]
    await database.write(lambda c: _say(c, thread_id, [*zip(seqs, roles, strict=True)]))
    listed = [ModelMessage(role, (TextPart("Hm."),), seq) for seq, role in zip(seqs, roles, strict=True)]
    for strategy in LastN(4, 3), LastN(2, 2), FirstLast(2, 5, 4), TokenWindow(90):
        for end in (3, 8, 50, 51, 200, 301, len(roles)):
            through = seqs[end - 1]
            found = await database.read(lambda c, t=through, s=strategy: s.window(History(c, thread_id, through_seq=t)))  # type: ignore[misc]  # bound now
            assert found == strategy.window(ListHistory(listed[:end]))


async def test_parts_come_back_whole_with_what_is_the_providers_own(database: Database, spoken: str) -> None:
    found = await database.read(lambda c: History(c, spoken).latest(5, before_seq=9))
    assert found[1:3] == [
        ModelMessage(
            "assistant",
            (ReasoningPart("hm", {"signature": "s"}), ToolCallPart("c", "calc", {"b": 1, "a": 2})),
            3,
        ),
        ModelMessage("tool", (ToolResultPart("c", "calc", {"v": 2}, is_error=True),), 5),
    ]
    call = found[1].parts[1]
    assert isinstance(call, ToolCallPart)
    assert list(call.arguments) == ["b", "a"]


async def test_the_summary_that_covers_most_counts_or_the_last_of_equals(database: Database, spoken: str) -> None:
    async def summary(through_seq: int | None = None) -> StoredSummary | None:
        return await database.read(lambda c: History(c, spoken, through_seq=through_seq).summary())

    async def add(text: str, covers: int, number: int = 1) -> None:
        await database.write(lambda c: insert_summary(c, spoken, text, covers_through_seq=covers, number=number))

    assert await summary() is None
    await add("much", 6)
    await add("little", 2)
    assert await summary() == StoredSummary("much", 6)
    assert await summary(through_seq=5) == StoredSummary("little", 2)
    assert await summary(through_seq=1) is None
    await add("better", 6, 2)
    assert await summary() == StoredSummary("better", 6)
    await add("", 6, 3)
    assert await summary() is None


async def test_no_question_looks_at_more_than_its_answer(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    agent = await AgentStore(database).create("a")
    thread_ids = [(await ThreadStore(database).create(agent["id"]))["id"] for _ in range(2)]
    run_id = new_id()
    for thread_id in thread_ids:
        await database.write(lambda c, t=thread_id: _fill(c, t, run_id))  # type: ignore[misc]  # bound now
    plans = await database.read(lambda c: _plans(c, thread_ids[0], run_id))
    for statement, plan in plans:
        assert "USING" in plan, (statement, plan)
        assert "INDEX" in plan, (statement, plan)
        # A scan reads a whole table; a tree sorts rows that no index put in order.
        assert "SCAN" not in plan, (statement, plan)
        assert "B-TREE" not in plan, (statement, plan)
    assert len(plans) == 11  # the start of a greeting takes two
    assert "ix_messages_turn_starts" in plans[4][1]
    await database.close()


async def test_the_steps_of_a_question_do_not_grow_with_the_thread(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    agent = await AgentStore(database).create("a")
    steps: list[dict[str, int]] = []
    for length in (200, 4000):
        thread = await ThreadStore(database).create(agent["id"])
        await database.write(lambda c, t=thread["id"], n=length: _fill(c, t, new_id(), n))  # type: ignore[misc]  # bound now
        steps.append(await database.read(lambda c, t=thread["id"], n=length: _steps(c, t, n)))  # type: ignore[misc]  # bound now
    for question, few in steps[0].items():
        assert 0 < steps[1][question] <= few + 5, question
    await database.close()


def _say(connection: Connection, thread_id: str, said: Sequence[tuple[int | None, MessageRole]]) -> None:
    for seq, role in said:
        insert_message(
            connection,
            message_id=new_id(),
            thread_id=thread_id,
            run_id=None,
            seq=seq,
            role=role,
            parts=[TextPart("Hm.")],
            created_at=utc_now(),
        )


def _questions(history: History, run_id: str, end: int) -> dict[str, Callable[[], object]]:
    return {
        "latest": lambda: history.latest(20),
        "latest before": lambda: history.latest(20, before_seq=end - 50),
        "first": lambda: history.first(2),
        "after": lambda: history.after(end - 10, limit=20),
        "turn start": lambda: history.turn_start(end - 1),
        "run": lambda: history.run_messages(run_id),
        "summary": history.summary,
        "refused": lambda: history.refused(20, after_seq=end - 60),
        "count": lambda: history.count(after_seq=end - 60, through_seq=end - 20),
        "turn start in a greeting": lambda: history.turn_start(0),
    }


def _fill(connection: Connection, thread_id: str, run_id: str, count: int = 300) -> None:
    row: dict[str, Any] = {"thread_id": thread_id, "status": "completed", "user_id": None, "usage": None, "cost": None}
    rows: list[Any] = [
        row
        | {
            "id": new_id(),
            "run_id": run_id if seq <= 4 else new_id(),
            "seq": seq,
            "role": "user" if seq % 3 == 1 else "assistant",
            "parts": [{"type": "text", "text": str(seq)}],
            "metadata": {},
            "created_at": utc_now(),
            "refused": False,
            "superseded": False,
        }
        for seq in range(1, count + 1)
    ]
    insert_messages(connection, rows)
    for covers in range(1, count, 10):
        insert_summary(connection, thread_id, "s", covers_through_seq=covers)


def _plans(connection: Connection, thread_id: str, run_id: str) -> list[tuple[str, str]]:
    """Every statement that the methods run, with SQLite's plan for it."""
    seen: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    for ask in _questions(History(connection, thread_id), run_id, 300).values():
        ask()
    event.remove(connection, "before_cursor_execute", note)
    return [
        (statement, "; ".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)))
        for statement, values in seen
    ]


def _steps(connection: Connection, thread_id: str, count: int) -> dict[str, int]:
    """How many tens of instructions of SQLite's machine each method takes."""
    driver: Any = connection.connection.driver_connection
    counted: dict[str, int] = {}
    for name, ask in _questions(History(connection, thread_id), new_id(), count).items():
        ticks = [0]

        def tick(ticks: list[int] = ticks) -> int:
            ticks[0] += 1
            return 0

        driver.set_progress_handler(tick, 10)
        ask()
        driver.set_progress_handler(None, 0)
        counted[name] = ticks[0]
    return counted
