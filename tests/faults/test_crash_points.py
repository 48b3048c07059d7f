"""A process that ends at any point of its work, in turn: the next one makes the thread whole."""

import multiprocessing
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ai_agents import AgentStore, ThreadStore, connect
from tests.faults import crash_scenario
from tests.faults.crash_scenario import EXIT_CODE, USER, Place
from tests.support.examples import SOAK
from tests.support.pooled import through_pooler

pytestmark = pytest.mark.soak
# A server that has imported everything: each process is a fork of it, made in milliseconds.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([crash_scenario.__name__])
SAMPLE = 5


def run(target: Callable[..., Any], *arguments: object) -> int:
    """The exit code of a process that runs this."""
    process = _processes.Process(target=target, args=arguments)
    process.start()
    process.join(60)
    assert process.exitcode is not None, "it hangs"
    code = process.exitcode
    process.close()
    return code


async def make_place(url: str, directory: Path) -> Place:
    """A thread of its own, and a directory for what is to outlive a process."""
    url, direct_url = through_pooler(url)
    conn = await connect(url, direct_url=direct_url)
    try:
        agent = await AgentStore(conn).create(name="assistant", tools=["count", "count_safely"])
        thread = await ThreadStore(conn).create(agent_id=agent["id"], owner_id=USER)
    finally:
        await conn.close()
    place = Place(url, direct_url, thread["id"], directory / thread["id"])
    place.directory.mkdir()
    return place


async def test_a_crash_at_any_point_is_repaired(database_url: str, tmp_path: Path, rng: random.Random) -> None:
    whole = await make_place(database_url, tmp_path)
    assert run(crash_scenario.crash, whole, 0) == 0, whole.noted("crash.error")
    count = int(whole.noted("points")[0])
    assert run(crash_scenario.recover, whole) == 0, whole.noted("recover.error")
    points = list(range(1, count + 1))
    crashed = 0
    for point in points if SOAK else sorted(rng.sample(points, SAMPLE)):
        place = await make_place(database_url, tmp_path)
        code = run(crash_scenario.crash, place, point)
        # No two runs pass the very same points: a last one may not be reached.
        assert code in (0, EXIT_CODE), (point, place.noted("crash.error"))
        crashed += code == EXIT_CODE
        assert run(crash_scenario.recover, place) == 0, f"point {point} of {count}: {place.noted('recover.error')}"
    assert crashed >= 0.8 * (count if SOAK else SAMPLE)
