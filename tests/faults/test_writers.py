"""Fifty writers on one SQLite file, in several processes: all wait for their turn, and no update is lost."""

import asyncio
import json
import sys
from typing import Any

import pytest
from sqlalchemy import text

from ai_agents.store.database import Database
from tests.faults.conftest import amount

pytestmark = pytest.mark.soak
WRITERS = 50
PROCESSES = amount(sample=2, all_of_it=10)
SECONDS = amount(sample=2, all_of_it=60)


async def test_fifty_writers_of_one_file_wait_for_each_other(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    await database.write(lambda c: c.execute(text("CREATE TABLE counted (value INTEGER)")))
    await database.write(lambda c: c.execute(text("INSERT INTO counted VALUES (0)")))

    told = await asyncio.gather(*(write_in_a_process(sqlite_url) for _ in range(PROCESSES)))

    assert [each["failed"] for each in told] == [{}] * PROCESSES
    assert min(each["least"] for each in told) > 0, "one writer never had its turn"
    done = sum(each["done"] for each in told)
    assert await database.read(lambda c: c.execute(text("SELECT value FROM counted")).scalar_one()) == done
    await database.close()
    print(f"{done} writes in {SECONDS} s")  # noqa: T201  # figures of the long form


async def write_in_a_process(url: str) -> dict[str, Any]:
    """What a process with its part of the writers tells."""
    program = [sys.executable, "-m", "tests.faults.sqlite_writers", url, str(WRITERS // PROCESSES), str(SECONDS)]
    process = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
    told, _ = await process.communicate()
    found: dict[str, Any] = json.loads(told)
    return found
