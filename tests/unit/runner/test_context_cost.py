"""Reading for a turn costs the same in a thread of ten messages and in one of a hundred thousand."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, text

from ai_agents import AgentRunner, AgentStore, DatabaseHandle, ThreadStore, connect
from ai_agents.memory.registry import strategy_from_config
from ai_agents.memory.strategies import LastN
from ai_agents.store.history import History
from ai_agents.store.summaries import insert_summary
from ai_agents.testing import ScriptedProvider

LENGTHS = (10, 1_000, 100_000)
# Windows that ten messages fill.
STRATEGIES: dict[str, dict[str, Any]] = {
    "last_n": {"strategy": "last_n", "n": 6},
    "first_last": {"strategy": "first_last", "first": 2, "last": 4},
    "summarize": {"strategy": "summarize", "recent": 4},
    "token_window": {"strategy": "token_window", "max_tokens": 40},
}


@pytest.fixture
async def conn(sqlite_url: str) -> AsyncIterator[DatabaseHandle]:
    handle = await connect(sqlite_url)
    yield handle
    await handle.close(grace_s=0)


_FILL = """
WITH RECURSIVE numbers(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM numbers WHERE seq < :count)
INSERT INTO messages (id, thread_id, seq, role, parts, status, metadata, created_at)
SELECT :thread_id || seq, :thread_id, seq, CASE seq % 2 WHEN 1 THEN 'user' ELSE 'assistant' END,
    '[{"type": "text", "text": "some words"}]', 'completed', '{}', '2026-01-31T12:00:00.000000Z' FROM numbers
"""


def fill(connection: Connection, thread_id: str, count: int) -> None:
    """So many messages, with a summary of all but the last six."""
    connection.execute(text(_FILL), {"thread_id": thread_id, "count": count})
    insert_summary(connection, thread_id, "What was said before.", covers_through_seq=count - 6)


def steps_of(connection: Connection, read: Any) -> int:
    """How many instructions of SQLite's machine it takes."""
    driver: Any = connection.connection.driver_connection
    ticks = 0

    def tick() -> int:
        nonlocal ticks
        ticks += 1
        return 0

    driver.set_progress_handler(tick, 1)
    try:
        read()
    finally:
        driver.set_progress_handler(None, 0)
    return ticks


async def test_the_windows_of_all_strategies_cost_the_same_in_any_thread(conn: DatabaseHandle) -> None:
    runner = AgentRunner(conn, provider=ScriptedProvider())
    agent = await AgentStore(conn).create(name="assistant")
    requests = runner.contexts.requests
    costs: dict[str, list[tuple[int, int]]] = {name: [] for name in STRATEGIES}
    for length in LENGTHS:
        thread_id = str((await ThreadStore(conn).create(agent["id"]))["id"])
        await conn.database.write(partial(fill, thread_id=thread_id, count=length))
        for name, config in STRATEGIES.items():
            strategy = strategy_from_config(config)

            def measure(c: Connection, thread_id: str = thread_id, strategy: Any = strategy) -> tuple[int, int]:
                history = History(c, thread_id)
                steps = steps_of(c, lambda: requests.read_window(history, agent, "scripted", "scripted", strategy))
                window = requests.read_window(history, agent, "scripted", "scripted", strategy)
                return steps, len(window.messages)

            costs[name].append(await conn.database.read(measure))

    for name, (ten, thousand, hundred_thousand) in costs.items():
        assert ten[1] == thousand[1] == hundred_thousand[1] >= 4, name
        # A page of messages is read ahead, where there are as many.
        assert thousand[0] <= 1.5 * ten[0], (name, costs[name])
        assert hundred_thousand[0] <= 1.02 * thousand[0], (name, costs[name])


async def test_a_window_in_steps_costs_at_most_a_block_of_the_index(conn: DatabaseHandle) -> None:
    agent = await AgentStore(conn).create(name="assistant")
    steps: dict[int, list[int]] = {1: [], 10: []}
    for length in (1_000, 4_479, 100_000):
        thread_id = str((await ThreadStore(conn).create(agent["id"]))["id"])
        await conn.database.write(partial(fill, thread_id=thread_id, count=length))
        for step, found in steps.items():

            def measure(c: Connection, thread_id: str = thread_id, step: int = step) -> int:
                return steps_of(c, lambda: LastN(20, step).window(History(c, thread_id)))

            found.append(await conn.database.read(measure))
    # A few instructions for each entry of the index, and those of the messages that the window has more.
    assert max(steps[10]) <= 2 * max(steps[1]) + 640 * 10, steps
